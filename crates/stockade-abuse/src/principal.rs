//! The inner guard: keeps banned principals out.

use std::fmt;

use stockade_core::{Check, Guard, Head, Never};

use crate::{Detector, guard::refuse};

/// Refuses principals that are banned, wherever they come from. It stands behind whoever
/// authenticates: an id that was only claimed is never looked at.
pub struct PrincipalGuard(Detector);

impl PrincipalGuard {
    /// A guard that asks this detector.
    pub fn new(detector: Detector) -> Self {
        Self(detector)
    }
}

impl Guard for PrincipalGuard {
    const NAME: &'static str = "abuse_principal";
    type Pass = ();
    type Hold = ();
    type Wait = Never<()>;

    fn check(&self, head: &Head) -> Check<(), Self::Wait> {
        match self.0.ban_of_principal(|| head.principal()) {
            None => Check::Pass(()),
            Some(ban) => Check::Refuse(refuse(&self.0, &ban)),
        }
    }

    fn admit(&self, (): (), _head: &mut Head) {}
}

impl fmt::Debug for PrincipalGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PrincipalGuard").field(&self.0).finish()
    }
}
