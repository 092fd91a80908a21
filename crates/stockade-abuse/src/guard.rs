//! The outer guard: keeps banned clients out, and learns from how requests end.

use std::fmt;

use http::{HeaderMap, StatusCode, uri::PathAndQuery};
use stockade_core::{
    context::RequestContext,
    guard::{Check, NoWait},
    guard::{Guard, ResponseHook},
    guard::{Head, Outcome},
    identity::Authenticator,
    refusal::RefusalReason,
    refusal::{Denial, StandingRefusal},
    refusal::{Refusal, grpc_status},
};

use crate::{
    Detector, Signal, detector::BanMatch, no_authenticator::NoAuthenticator, signal::ResponseStatus,
};

/// Refuses banned clients, and counts the offences of all others.
///
/// It stands outside of all that can refuse, right inside of the
/// [`ContextGuard`](stockade_core::context::ContextGuard), from which it knows the client and
/// learns the verdicts. See the [crate documentation](crate).
pub struct AbuseGuard<A = NoAuthenticator> {
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
    pub fn allow_valid_credentials<A>(self, authenticator: A) -> AbuseGuard<A>
    where
        A: Authenticator,
    {
        self.allow_valid_credentials_opt(Some(authenticator))
    }

    /// The same where a configuration may refuse those, too, with `None`.
    pub fn allow_valid_credentials_opt<A>(self, authenticator: Option<A>) -> AbuseGuard<A>
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
    fn check_banned(&self, hit: &BanMatch, head: &Head) -> Check<AbusePass, NoWait> {
        let authenticator = self.authenticator.as_ref();
        let may_prove = authenticator.is_some_and(|authenticator| authenticator.presents(head));
        let mut standing = None;
        match (may_prove, hit.enforced) {
            (true, true) => standing = Some(self.detector.refusal(&hit.ban)),
            // Whether the ban would matter shows when the credential is verified.
            (true, false) => {}
            (false, true) => return Check::Refuse(self.detector.deny(&hit.ban)),
            (false, false) => self.detector.would_deny(&hit.ban),
        }
        Check::Pass(AbusePass { standing })
    }
}

impl<A> Guard for AbuseGuard<A>
where
    A: Authenticator,
{
    const NAME: &'static str = "abuse";
    type Pass = AbusePass;
    type Hook = AbuseHook;
    type Wait = NoWait;

    #[inline]
    fn check(&self, head: &Head) -> Check<AbusePass, Self::Wait> {
        let Some(client) = head.context().client() else {
            return Check::Refuse(Refusal::not_configured(
                "no client address: put a layer of `ContextGuard` outside of the abuse layer",
            ));
        };
        match self.detector.ban_of_client(|| client) {
            None => Check::Pass(AbusePass { standing: None }),
            Some(hit) => self.check_banned(&hit, head),
        }
    }

    #[inline]
    fn admit(&self, AbusePass { standing }: AbusePass, head: &mut Head) -> AbuseHook {
        let banned = standing.is_some();
        let context = head.context().clone();
        if let Some(refusal) = standing {
            context.set_standing_refusal(StandingRefusal::new(Self::NAME, refusal));
        }
        AbuseHook {
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

/// A request that is not kept out.
#[derive(Debug)]
pub struct AbusePass {
    /// Set if the client is banned and may still prove who it is.
    standing: Option<Refusal>,
}

/// A request whose end will tell whether it was an offence.
#[derive(Debug)]
pub struct AbuseHook {
    detector: Detector,
    context: RequestContext,
    target: Option<PathAndQuery>,
    outcome: Option<ResponseStatus>,
    banned: bool,
}

impl AbuseHook {
    /// Looks at how the request ended. Most end well, and there this is all.
    #[inline]
    fn judge(&self) {
        let denial = self.context.denial();
        let outcome = match denial {
            // A guard's own word, in whichever dialect it was sent.
            Some(denial) => ResponseStatus::Http(denial.kind.status()),
            None => match self.outcome {
                Some(outcome) => outcome,
                // The client left before there was any.
                None => return,
            },
        };
        if outcome.status().is_client_error() {
            self.report(denial, outcome);
        }
    }

    #[cold]
    fn report(&self, denial: Option<&Denial>, outcome: ResponseStatus) {
        if let Some(denial) = denial
            && denial.reason == Some(RefusalReason::Banned)
        {
            if self.banned && denial.guard == <AbuseGuard>::NAME {
                self.detector.count_denied();
            }
            // A client that is banned already is not judged for further attempts.
            return;
        }
        let context = &self.context;
        let Some(client) = context.client() else {
            return;
        };
        let path = self.target.as_ref().map_or("", PathAndQuery::path);
        self.detector.judge(client, context.principal(), |policy| {
            if policy.scanner_paths.match_path(path) {
                return Some((Signal::ScannerPath, None));
            }
            let fingerprint = denial.and_then(|denial| denial.fingerprint);
            Some((Signal::of(outcome, denial)?, fingerprint))
        });
    }
}

impl ResponseHook for AbuseHook {
    fn on_response(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        // Whatever became of a call, gRPC sends it with a 200.
        let code = match status {
            StatusCode::OK => grpc_status(headers),
            _ => None,
        };
        self.outcome = Some(code.map_or(ResponseStatus::Http(status), ResponseStatus::Grpc));
    }

    fn on_trailers(&mut self, trailers: &HeaderMap) {
        if let Some(code) = grpc_status(trailers) {
            self.outcome = Some(ResponseStatus::Grpc(code));
        }
    }

    fn on_end(self, _end: Outcome) {
        self.judge();
    }
}
