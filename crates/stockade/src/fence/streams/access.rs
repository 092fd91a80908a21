//! Whether the client of a stream still has access.

use stockade_abuse::Detector;
use stockade_core::{context::RequestContext, identity::Authenticator as _, refusal::Refusal};

use crate::fence::Identity;

/// Checks what requests are admitted by, and may change while a response is on its way.
#[derive(Debug)]
pub(in crate::fence) struct Access {
    pub(in crate::fence) identity: Identity,
    pub(in crate::fence) detector: Option<Detector>,
    /// Whether the ban of an address applies to authenticated requests.
    pub(in crate::fence) ban_valid_keys: bool,
}

/// The end of an access.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    /// The label of the metric.
    pub(super) reason: &'static str,
    pub(super) refusal: Refusal,
}

impl Access {
    /// Returns the refusal that a new request of this client would get; `None` as long as it
    /// would be admitted. Never blocks.
    pub(super) fn check(&self, context: &RequestContext) -> Option<Ended> {
        let banned = |refusal| Ended {
            reason: "banned",
            refusal,
        };
        let credential = |refusal: Refusal| Ended {
            reason: refusal.internal_reason(),
            refusal,
        };
        let ban = self.check_bans(context).map(banned);
        ban.or_else(|| self.identity.recheck(context).map(credential))
    }

    fn check_bans(&self, context: &RequestContext) -> Option<Refusal> {
        let detector = self.detector.as_ref()?;
        let principal = context.principal();
        let of_client = || match principal.is_none() || self.ban_valid_keys {
            true => detector.recheck_client(context.client()?),
            false => None,
        };
        let of_principal = || detector.recheck_principal(principal?);
        of_client().or_else(of_principal)
    }
}
