//! The outer guard: keeps banned clients out, and learns from how requests end.

use std::fmt;

use http::{HeaderMap, StatusCode, uri::PathAndQuery};
use stockade_core::{
    Authenticator, Check, End, Guard, Head, Hold, Never, Refusal, RefusalReason, RequestContext,
    RequestId, StandingRefusal, Verdict, grpc_status,
};

use crate::{Detector, Signal, credentials::NoCredentials, detector::Hit, signal::Outcome};

/// Refuses banned clients, and counts the offences of all others.
///
/// It stands outside of all that can refuse, right inside of the
/// [`ContextGuard`](stockade_core::ContextGuard), from which it knows the client and
/// learns the verdicts. See the [crate documentation](crate).
pub struct AbuseGuard<A = NoCredentials> {
    detector: Detector,
    authenticator: Option<A>,
}

impl AbuseGuard {
    /// A guard that asks and tells this detector.
    pub fn new(detector: Detector) -> Self {
        Self {
            detector,
            authenticator: None,
        }
    }

    /// Lets requests with a valid credential pass where only their address is banned, so
    /// that one offender does not lock out all who share the address with it.
    ///
    /// Share the authenticator with the layer that authenticates, as an
    /// [`Arc`](std::sync::Arc). It is asked only whether a request presents a credential,
    /// and only while the client's address is banned. A request without one is refused here.
    /// One with a credential passes on, through the limits in front of the layer that
    /// authenticates; where that refuses the credential, the client gets the refusal of the
    /// ban ([`StandingRefusal`]). Put a [`PrincipalGuard`](crate::PrincipalGuard) behind that
    /// layer: it refuses what that lets pass without authenticating it.
    pub fn valid_credentials_pass<A>(self, authenticator: A) -> AbuseGuard<A>
    where
        A: Authenticator,
    {
        self.valid_credentials_may_pass(Some(authenticator))
    }

    /// The same where a configuration may refuse those, too, with `None`.
    pub fn valid_credentials_may_pass<A>(self, authenticator: Option<A>) -> AbuseGuard<A>
    where
        A: Authenticator,
    {
        AbuseGuard {
            detector: self.detector,
            authenticator,
        }
    }
}

impl<A> AbuseGuard<A>
where
    A: Authenticator,
{
    #[cold]
    fn check_banned(
        &self,
        hit: &Hit,
        mut visitor: Visitor,
        head: &Head,
    ) -> Check<Visitor, Never<Visitor>> {
        let authenticator = self.authenticator.as_ref();
        let may_prove = authenticator.is_some_and(|authenticator| authenticator.presents(head));
        match (may_prove, hit.enforced) {
            (true, true) => visitor.standing = Some(self.detector.refusal(&hit.ban)),
            // Whether the ban would matter shows when the credential is verified.
            (true, false) => {}
            (false, true) => return Check::Refuse(self.detector.deny(&hit.ban)),
            (false, false) => self.detector.would_deny(&hit.ban),
        }
        Check::Pass(visitor)
    }
}

impl<A> Guard for AbuseGuard<A>
where
    A: Authenticator,
{
    const NAME: &'static str = "abuse";
    type Pass = Visitor;
    type Hold = Watched;
    type Wait = Never<Visitor>;

    #[inline]
    fn check(&self, head: &Head) -> Check<Visitor, Self::Wait> {
        let Some(visitor) = Visitor::of(head) else {
            return Check::Refuse(Refusal::not_configured(
                "no client address: put a layer of `ContextGuard` outside of the abuse layer",
            ));
        };
        match self.detector.ban_of_client(|| visitor.context.client()) {
            None => Check::Pass(visitor),
            Some(hit) => self.check_banned(&hit, visitor, head),
        }
    }

    #[inline]
    fn admit(&self, visitor: Visitor, head: &mut Head) -> Watched {
        let Visitor { context, standing } = visitor;
        let banned = standing.is_some();
        if let Some(refusal) = standing {
            let standing = StandingRefusal::new(Self::NAME, refusal);
            head.extensions.insert(standing);
        }
        Watched {
            detector: self.detector.clone(),
            context,
            target: head.uri.path_and_query().cloned(),
            outcome: None,
            banned,
        }
    }
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
pub struct Visitor {
    context: RequestContext,
    /// Where the client is banned and may still prove who it is.
    standing: Option<Refusal>,
}

impl Visitor {
    #[inline]
    fn of(head: &Head) -> Option<Self> {
        Some(Self {
            context: match head.context() {
                Some(context) => context.clone(),
                // Nothing else writes into this one, so all it knows is the client.
                None => RequestContext::new(RequestId::next(), head.client()?),
            },
            standing: None,
        })
    }
}

/// A request whose end will tell whether it was an offence.
#[derive(Debug)]
pub struct Watched {
    detector: Detector,
    context: RequestContext,
    target: Option<PathAndQuery>,
    outcome: Option<Outcome>,
    banned: bool,
}

impl Watched {
    /// Looks at how the request ended. Most end well, and there this is all.
    #[inline]
    fn judge(&self) {
        let verdict = self.context.verdict();
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
        if let Some(verdict) = verdict
            && verdict.reason == Some(RefusalReason::Banned)
        {
            if self.banned && verdict.guard == <AbuseGuard>::NAME {
                self.detector.count_denied();
            }
            // A client that is banned already is not judged for further attempts.
            return;
        }
        let context = &self.context;
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
