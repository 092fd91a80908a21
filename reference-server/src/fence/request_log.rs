//! One line of log a request, written when its answer has ended.

use std::time::{Duration, Instant};

use http::{HeaderMap, Method, StatusCode, request::Parts};
use stockade_core::{Check, End, Guard, Hold, MatchedRoute, Never, Principal, RequestContext};

/// Logs what became of each request: never a header, a query, a path that nobody
/// declared, or a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestLog;

impl Guard for RequestLog {
    const NAME: &'static str = "request_log";
    type Pass = ();
    type Hold = Entry;
    type Wait = Never<()>;

    fn check(&self, _head: &Parts) -> Check<(), Self::Wait> {
        Check::Pass(())
    }

    fn admit(&self, (): (), head: &mut Parts) -> Entry {
        Entry {
            begun: Instant::now(),
            method: head.method.clone(),
            route: MatchedRoute::of(&head.extensions).cloned(),
            context: RequestContext::of(&head.extensions).cloned(),
            status: None,
            first: None,
        }
    }
}

/// The line to be.
#[derive(Debug)]
pub(super) struct Entry {
    begun: Instant,
    method: Method,
    route: Option<MatchedRoute>,
    context: Option<RequestContext>,
    status: Option<StatusCode>,
    /// How long the head of the answer took.
    first: Option<Duration>,
}

impl Hold for Entry {
    fn head(&mut self, status: StatusCode, _headers: &mut HeaderMap) {
        self.status = Some(status);
        self.first = Some(self.begun.elapsed());
    }

    fn end(self, end: End) {
        let context = self.context.as_ref();
        let usage = context.and_then(RequestContext::usage);
        let verdict = context.and_then(RequestContext::verdict);
        tracing::info!(
            target: "stockade_server::request",
            request_id = context.map(|c| tracing::field::display(c.id())),
            method = method(&self.method),
            route = self.route.as_ref().map_or("-", MatchedRoute::as_str),
            status = self.status.map(|status| status.as_u16()),
            outcome = outcome(end),
            head_ms = self.first.map(millis),
            latency_ms = millis(self.begun.elapsed()),
            client = context.map(|c| tracing::field::display(c.client())),
            principal = context.and_then(RequestContext::principal).map(Principal::id),
            refused_by = verdict.map(|verdict| verdict.guard),
            code = verdict.map(|verdict| verdict.code),
            cause = verdict.map(|verdict| verdict.cause).filter(|cause| !cause.is_empty()),
            prompt_tokens = usage.map(|usage| usage.prompt_tokens),
            completion_tokens = usage.map(|usage| usage.completion_tokens),
            "request"
        );
    }
}

/// A method of the client's own invention says nothing and may be long.
fn method(method: &Method) -> &str {
    match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::PATCH
        | Method::DELETE
        | Method::OPTIONS
        | Method::TRACE
        | Method::CONNECT => method.as_str(),
        _ => "-",
    }
}

fn outcome(end: End) -> &'static str {
    match end {
        End::Completed => "completed",
        End::Failed => "failed",
        End::Dropped => "dropped",
    }
}

/// Milliseconds, to the microsecond.
fn millis(duration: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a request")]
    let micros = duration.as_micros() as f64;
    micros / 1_000.0
}
