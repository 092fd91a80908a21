//! The default authenticator of [`AbuseGuard`](crate::AbuseGuard).

use stockade_core::{
    guard::{Check, Guard, Head, NoWait},
    identity::Authenticator,
    refusal::{Refusal, RefusalKind},
};

/// Accepts no credentials: all clients of a banned network are refused.
#[derive(Clone, Copy, Debug)]
pub struct NoAuthenticator;

impl Guard for NoAuthenticator {
    const NAME: &'static str = "no_authenticator";
    type Pass = ();
    type Hook = ();
    type Wait = NoWait;

    fn check(&self, _head: &Head) -> Check<(), NoWait> {
        Check::Refuse(Refusal::new(
            RefusalKind::Unauthenticated,
            "no credentials are accepted here",
        ))
    }

    fn admit(&self, (): (), _head: &mut Head) {}
}

impl Authenticator for NoAuthenticator {
    fn presents(&self, _head: &Head) -> bool {
        false
    }
}
