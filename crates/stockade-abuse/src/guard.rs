//! The guard that refuses banned clients, and counts the offences of all others.

use std::fmt;

use http::{HeaderMap, StatusCode, uri::PathAndQuery};
use stockade_core::{
    context::RequestContext,
    guard::{Check, Guard, Head, NoWait, Outcome, ResponseHook},
    identity::Authenticator,
    refusal::{Denial, Refusal, RefusalReason, StandingRefusal, grpc_status},
};

use crate::{
    Detector, Signal, detector::BanMatch, no_authenticator::NoAuthenticator, signal::ResponseStatus,
};

/// Refuses banned clients, and counts the offences of all others.
///
/// Put it outside of all guards that refuse, directly inside of
/// [`ContextGuard`](stockade_core::context::ContextGuard). It reads the client and denials
/// from the request context. See the [crate documentation](crate).
///
/// ```
/// use stockade_abuse::{AbuseGuard, AbusePolicy, Detector};
/// use stockade_core::{context::ContextGuard, guard::GuardStack};
///
/// let detector = Detector::new(AbusePolicy::new());
/// let layer = ContextGuard::new().then(AbuseGuard::new(detector)).into_layer();
/// ```
#[derive(Clone)]
pub struct AbuseGuard<A = NoAuthenticator> {
    detector: Detector,
    authenticator: Option<A>,
}

impl AbuseGuard {
    /// Creates a guard that uses this detector.
    pub fn new(detector: Detector) -> Self {
        Self {
            detector,
            authenticator: None,
        }
    }

    /// Lets requests with a valid credential pass if only their address is banned, so that an
    /// offender does not lock out other clients with the same address.
    ///
    /// Share the authenticator with the layer that authenticates, as an
    /// [`Arc`](std::sync::Arc). Here it only determines whether a request from a banned address
    /// presents a credential. A request without one is refused. A request with one passes on,
    /// through the limits in front of the layer that authenticates; if that layer rejects the
    /// credential, the client receives the refusal of the ban ([`StandingRefusal`]). Put a
    /// [`PrincipalGuard`](crate::PrincipalGuard) inside of that layer: it refuses requests that
    /// were not authenticated.
    pub fn allow_valid_credentials<A>(self, authenticator: A) -> AbuseGuard<A>
    where
        A: Authenticator,
    {
        self.allow_valid_credentials_opt(Some(authenticator))
    }

    /// Like [`allow_valid_credentials`](Self::allow_valid_credentials), if `Some`.
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
    fn check_banned(&self, found: &BanMatch, head: &Head) -> Check<AbusePass, NoWait> {
        let authenticator = self.authenticator.as_ref();
        let may_authenticate =
            authenticator.is_some_and(|authenticator| authenticator.presents(head));
        let mut standing = None;
        match (may_authenticate, found.enforced) {
            (true, true) => standing = Some(self.detector.refusal(&found.ban)),
            // Unknown until the credential is verified.
            (true, false) => {}
            (false, true) => return Check::Refuse(self.detector.deny(&found.ban)),
            (false, false) => self.detector.would_deny(&found.ban),
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
                "no client address: put `ContextLayer` outside of the abuse layer",
            ));
        };
        match self.detector.ban_of_client(|| client) {
            None => Check::Pass(AbusePass { standing: None }),
            Some(found) => self.check_banned(&found, head),
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

/// The result of the check of an admitted request.
#[derive(Debug)]
pub struct AbusePass {
    /// Set if the client is banned and may still authenticate.
    standing: Option<Refusal>,
}

/// The response hook that reports an offence if the response is one.
#[derive(Debug)]
pub struct AbuseHook {
    detector: Detector,
    context: RequestContext,
    target: Option<PathAndQuery>,
    outcome: Option<ResponseStatus>,
    banned: bool,
}

impl AbuseHook {
    /// Checks the outcome; the fast path of requests that are no offence.
    #[inline]
    fn check_outcome(&self) {
        let denial = self.context.denial();
        let outcome = match denial {
            // The denial, regardless of the error format.
            Some(denial) => ResponseStatus::Http(denial.kind.status()),
            None => match self.outcome {
                Some(outcome) => outcome,
                // The client disconnected before there was a response.
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
            // Further requests of a banned client are not counted.
            return;
        }
        let context = &self.context;
        let Some(client) = context.client() else {
            return;
        };
        let path = self.target.as_ref().map_or("", PathAndQuery::path);
        self.detector
            .report_with(client, context.principal(), |policy| {
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
        // The HTTP status of gRPC responses is always 200.
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
        self.check_outcome();
    }
}
