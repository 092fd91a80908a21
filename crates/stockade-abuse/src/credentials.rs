//! The authenticator of those who have none.

use stockade_core::{
    guard::{Check, NoWait},
    guard::{Guard, Head},
    identity::Authenticator,
    refusal::{Refusal, RefusalKind},
};

/// Recognises nobody: every client at a banned address stays out.
#[derive(Clone, Copy, Debug)]
pub struct NoCredentials;

impl Guard for NoCredentials {
    const NAME: &'static str = "no_credentials";
    type Pass = ();
    type Hook = ();
    type Wait = NoWait;

    fn check(&self, _head: &Head) -> Check<(), NoWait> {
        Check::Refuse(Refusal::new(
            RefusalKind::Unauthenticated,
            "no credentials are taken here",
        ))
    }

    fn admit(&self, (): (), _head: &mut Head) {}
}

impl Authenticator for NoCredentials {
    fn presents(&self, _head: &Head) -> bool {
        false
    }
}
