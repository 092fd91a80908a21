//! The authenticator of those who have none.

use http::request::Parts;
use stockade_core::{Authenticator, Check, Guard, Never, Refusal, RefusalKind};

/// Recognises nobody: every client at a banned address stays out.
#[derive(Clone, Copy, Debug)]
pub struct NoCredentials;

impl Guard for NoCredentials {
    const NAME: &'static str = "no_credentials";
    type Pass = ();
    type Hold = ();
    type Wait = Never<()>;

    fn check(&self, _head: &Parts) -> Check<(), Never<()>> {
        Check::Refuse(Refusal::new(
            RefusalKind::Unauthenticated,
            "no credentials are taken here",
        ))
    }

    fn admit(&self, (): (), _head: &mut Parts) {}
}

impl Authenticator for NoCredentials {
    fn presents(&self, _head: &Parts) -> bool {
        false
    }
}
