//! Ensures that every request gets a response before its deadline.

use std::{panic::AssertUnwindSafe, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use futures_util::FutureExt;
use http::{
    header::{ACCEPT, CONTENT_TYPE},
    request::Parts,
};
use stockade_core::{context::RequestContext, refusal::Refusal};
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;

use crate::api::{ANTHROPIC_VERSION, refusals};

/// How much later the deadline is enforced for a handler, so that one that observes it itself can
/// still respond.
const MARGIN: Duration = Duration::from_millis(250);

/// The deadline of a response: its timeout, or the end of the shutdown's grace period.
///
/// [`enforce`] applies it to the response head, [`MARGIN`] later. A handler that generates text
/// observes it itself.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    instant: Instant,
    abort: CancellationToken,
}

impl Deadline {
    /// When the response must have ended.
    pub(crate) fn instant(&self) -> Instant {
        self.instant
    }

    /// Resolves when the deadline passes.
    pub(crate) async fn passed(&self) -> DeadlinePassed {
        self.passed_after(Duration::ZERO).await
    }

    async fn passed_after(&self, margin: Duration) -> DeadlinePassed {
        tokio::select! {
            () = time::sleep_until(self.instant + margin) => DeadlinePassed::Timeout,
            () = self.abort.cancelled() => DeadlinePassed::Stopping,
        }
    }
}

/// Why a deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeadlinePassed {
    /// The response took too long.
    Timeout,
    /// The server is stopping.
    Stopping,
}

impl DeadlinePassed {
    /// The refusal for the client.
    pub(crate) fn refusal(self) -> Refusal {
        match self {
            Self::Timeout => refusals::model_timeout(),
            Self::Stopping => refusals::server_stopping(),
        }
    }
}

/// The timeout of each response, and the token that aborts all of them.
#[derive(Clone, Debug)]
pub(crate) struct DeadlinePolicy {
    pub(crate) timeout: Duration,
    pub(crate) abort: CancellationToken,
}

/// Responds with a refusal if the handler panics or its deadline passes.
pub(super) async fn enforce(
    State(policy): State<DeadlinePolicy>,
    mut request: Request,
    next: Next,
) -> Response {
    let deadline = Deadline {
        instant: Instant::now() + policy.timeout,
        abort: policy.abort,
    };
    request.extensions_mut().insert(deadline.clone());
    let head = refusal_head(&request);
    // The state of a handler that panicked is dropped with it.
    let response = AssertUnwindSafe(next.run(request)).catch_unwind();
    let response = tokio::select! {
        biased;
        response = response => response.unwrap_or_else(|_panic| {
            refusals::respond(&refusals::internal("a handler panicked"), &head)
        }),
        passed = deadline.passed_after(MARGIN) => refusals::respond(&passed.refusal(), &head),
    };
    match refusals::from_framework(&response) {
        None => response,
        Some(refusal) => refusals::replace(response, &refusal, &head),
    }
}

/// The parts of a request that are needed to refuse it.
fn refusal_head(request: &Request) -> Parts {
    let (mut head, ()) = http::Request::new(()).into_parts();
    head.uri = request.uri().clone();
    for name in [ACCEPT, CONTENT_TYPE, ANTHROPIC_VERSION] {
        for value in request.headers().get_all(&name) {
            head.headers.append(&name, value.clone());
        }
    }
    if let Some(context) = RequestContext::of(request.extensions()) {
        head.extensions.insert(context.clone());
    }
    head
}
