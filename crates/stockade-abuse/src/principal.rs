//! The inner guard: keeps banned principals out.

use std::fmt;

use http::request::Parts;
use stockade_core::{Check, Guard, Never, Principal};

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

    fn check(&self, head: &Parts) -> Check<(), Self::Wait> {
        match self.0.ban_of_principal(|| Principal::of(&head.extensions)) {
            None => Check::Pass(()),
            Some(ban) => Check::Refuse(refuse(&self.0, &ban)),
        }
    }

    fn admit(&self, (): (), _head: &mut Parts) {}
}

impl fmt::Debug for PrincipalGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PrincipalGuard").field(&self.0).finish()
    }
}
