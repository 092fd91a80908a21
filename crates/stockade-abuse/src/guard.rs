//! The outer guard: keeps banned clients out, and learns from how requests end.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, StatusCode, uri::PathAndQuery};
use pin_project_lite::pin_project;
use stockade_core::{
    Authenticator, Check, End, Guard, Head, Hold, Refusal, RefusalReason, RequestContext,
    RequestId, Verdict, grpc_status,
};

use crate::{Ban, Detector, Signal, credentials::NoCredentials, refusal, signal::Outcome};

/// Refuses banned clients, and counts the offences of all others.
///
/// It stands outside of all that can refuse, right inside of the
/// [`ContextGuard`](stockade_core::ContextGuard), from which it knows the client and
/// learns the verdicts. See the [crate documentation](crate).
pub struct AbuseGuard<A = NoCredentials> {
    detector: Detector,
    authenticator: A,
}

impl AbuseGuard {
    /// A guard that asks and tells this detector.
    pub fn new(detector: Detector) -> Self {
        Self {
            detector,
            authenticator: NoCredentials,
        }
    }

    /// Lets requests with a valid credential pass where only their address is banned, so
    /// that one offender does not lock out all who share the address with it.
    ///
    /// Share the authenticator with the layer that authenticates, as an
    /// [`Arc`](std::sync::Arc). It is asked only while the client's address is banned.
    pub fn valid_credentials_pass<A>(self, authenticator: A) -> AbuseGuard<A>
    where
        A: Authenticator,
    {
        AbuseGuard {
            detector: self.detector,
            authenticator,
        }
    }
}

impl<A> Guard for AbuseGuard<A>
where
    A: Authenticator,
{
    const NAME: &'static str = "abuse";
    type Pass = Visitor;
    type Hold = Watched;
    type Wait = Proving<A::Wait>;

    #[inline]
    fn check(&self, head: &Head) -> Check<Visitor, Self::Wait> {
        let Some(visitor) = Visitor::of(head) else {
            return Check::Refuse(Refusal::not_configured(
                "no client address: put a layer of `ContextGuard` outside of the abuse layer",
            ));
        };
        let Some(ban) = self.detector.ban_of_client(|| visitor.0.client()) else {
            return Check::Pass(visitor);
        };
        if !self.authenticator.presents(head) {
            return Check::Refuse(refuse(&self.detector, &ban));
        }
        match self.authenticator.check(head) {
            Check::Pass(_) => Check::Pass(visitor),
            Check::Refuse(_) | Check::Answer(_) => Check::Refuse(refuse(&self.detector, &ban)),
            Check::Wait(wait) => Check::Wait(Proving {
                wait,
                detector: self.detector.clone(),
                ban,
                visitor: Some(visitor),
            }),
        }
    }

    #[inline]
    fn admit(&self, visitor: Visitor, head: &mut Head) -> Watched {
        Watched {
            detector: self.detector.clone(),
            visitor,
            target: head.uri.path_and_query().cloned(),
            outcome: None,
        }
    }
}

pub(crate) fn refuse(detector: &Detector, ban: &Ban) -> Refusal {
    let remaining = detector.deny(ban);
    refusal::banned(detector.policy().answer, remaining)
}

impl<A> fmt::Debug for AbuseGuard<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbuseGuard")
            .field("detector", &self.detector)
            .finish_non_exhaustive()
    }
}

/// Who makes a request, as the context says, which also knows how the request ends.
#[derive(Debug)]
pub struct Visitor(RequestContext);

impl Visitor {
    #[inline]
    fn of(head: &Head) -> Option<Self> {
        Some(Self(match head.context() {
            Some(context) => context.clone(),
            // Nobody else writes into this one, so all it knows is the client.
            None => RequestContext::new(RequestId::next(), head.client()?),
        }))
    }
}

pin_project! {
    /// A client at a banned address whose credential is being verified.
    pub struct Proving<W> {
        #[pin]
        wait: W,
        detector: Detector,
        ban: Ban,
        visitor: Option<Visitor>,
    }
}

impl<W, P> Future for Proving<W>
where
    W: Future<Output = Result<P, Refusal>>,
{
    type Output = Result<Visitor, Refusal>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(match ready!(this.wait.poll(cx)) {
            Ok(_) => Ok(this.visitor.take().expect("polled after it was ready")),
            Err(_) => Err(refuse(this.detector, this.ban)),
        })
    }
}

impl<W> fmt::Debug for Proving<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proving")
    }
}

/// A request whose end will tell whether it was an offence.
#[derive(Debug)]
pub struct Watched {
    detector: Detector,
    visitor: Visitor,
    target: Option<PathAndQuery>,
    outcome: Option<Outcome>,
}

impl Watched {
    /// Looks at how the request ended. Most end well, and there this is all.
    #[inline]
    fn judge(&self) {
        let verdict = self.visitor.0.verdict();
        let outcome = match verdict {
            // A guard's own word, in whichever dialect it was sent.
            Some(verdict) => Outcome::Http(verdict.kind.status()),
            None => match self.outcome {
                Some(outcome) => outcome,
                // The client left before there was any.
                None => return,
            },
        };
        if outcome.status().is_client_error() {
            self.report(verdict, outcome);
        }
    }

    #[cold]
    fn report(&self, verdict: Option<&Verdict>, outcome: Outcome) {
        // A client that is banned already is not judged for further attempts.
        if verdict.is_some_and(|verdict| verdict.reason == Some(RefusalReason::Banned)) {
            return;
        }
        let context = &self.visitor.0;
        let path = self.target.as_ref().map_or("", PathAndQuery::path);
        self.detector
            .judge(context.client(), context.principal(), |policy| {
                if policy.scanner_paths.match_path(path) {
                    return Some((Signal::ScannerPath, None));
                }
                let evidence = verdict.and_then(|verdict| verdict.evidence);
                Some((Signal::of(outcome, verdict)?, evidence))
            });
    }
}

impl Hold for Watched {
    fn head(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        // Whatever became of a call, gRPC sends it with a 200.
        let code = match status {
            StatusCode::OK => grpc_status(headers),
            _ => None,
        };
        self.outcome = Some(code.map_or(Outcome::Http(status), Outcome::Grpc));
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        if let Some(code) = grpc_status(trailers) {
            self.outcome = Some(Outcome::Grpc(code));
        }
    }

    fn end(self, _end: End) {
        self.judge();
    }
}
