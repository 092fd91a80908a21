//! The authenticator of those who have none.

use stockade_core::{Authenticator, Check, Guard, Head, Never, Refusal, RefusalKind};

/// Recognises nobody: every client at a banned address stays out.
#[derive(Clone, Copy, Debug)]
pub struct NoCredentials;

impl Guard for NoCredentials {
    const NAME: &'static str = "no_credentials";
    type Pass = ();
    type Hold = ();
    type Wait = Never<()>;

    fn check(&self, _head: &Head) -> Check<(), Never<()>> {
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
