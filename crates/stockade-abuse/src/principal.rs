//! The guard that refuses banned principals.

use std::fmt;

use stockade_core::guard::{Check, Guard, Head, NoWait};

use crate::Detector;

/// Refuses banned principals, and requests from banned addresses that were passed on to
/// authenticate but did not.
///
/// Put it directly inside of the layer that authenticates. It ignores unverified ids.
///
/// ```
/// use stockade_abuse::{AbuseLayer, AbusePolicy, Detector, PrincipalGuard};
/// use stockade_core::guard::Guard;
/// use tower::ServiceBuilder;
///
/// let detector = Detector::new(AbusePolicy::new().ban_principals(true));
/// let layers = ServiceBuilder::new()
///     .layer(AbuseLayer::new(detector.clone()))
///     // … the layer that authenticates …
///     .layer(PrincipalGuard::new(detector).into_layer());
/// ```
pub struct PrincipalGuard(Detector);

impl PrincipalGuard {
    /// Creates a guard that uses this detector.
    pub fn new(detector: Detector) -> Self {
        Self(detector)
    }
}

impl Guard for PrincipalGuard {
    const NAME: &'static str = "abuse_principal";
    type Pass = ();
    type Hook = ();
    type Wait = NoWait;

    fn check(&self, head: &Head) -> Check<(), Self::Wait> {
        if !self.0.has_banned() {
            return Check::Pass(());
        }
        let Some(principal) = head.context().principal() else {
            return match head.context().standing_refusal() {
                None => Check::Pass(()),
                Some(standing) => {
                    self.0.count_denied();
                    Check::Refuse(standing.refusal().clone())
                }
            };
        };
        match self.0.ban_of_principal(principal) {
            None => Check::Pass(()),
            Some(hit) if hit.enforced => Check::Refuse(self.0.deny(&hit.ban)),
            Some(hit) => {
                self.0.would_deny(&hit.ban);
                Check::Pass(())
            }
        }
    }

    fn admit(&self, (): (), _head: &mut Head) {}
}

impl fmt::Debug for PrincipalGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PrincipalGuard").field(&self.0).finish()
    }
}
