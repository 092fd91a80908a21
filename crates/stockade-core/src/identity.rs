//! Who makes a request: principals, their scopes, and the guards that authenticate them.

mod authenticator;
mod credential;
mod principal;
mod scope;

pub use authenticator::{Authenticator, EitherAuth, is_token_shaped};
#[doc(hidden)]
pub use authenticator::{EitherPass, EitherWait};
pub use credential::{AuthenticatorId, Credential};
pub use principal::{Principal, PrincipalBuilder, QuotaOverrides};
pub use scope::{Scope, ScopeError, ScopeSet};

/// Who makes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity<'a> {
    /// An authenticator verified a credential.
    Authenticated(&'a Principal),
    /// An authenticator ran, found no credential, and allows that.
    Anonymous,
    /// No authenticator ran. A guard that needs an identity treats it as a wiring fault
    /// ([`Refusal::not_configured`](crate::refusal::Refusal::not_configured)).
    Unchecked,
}

impl<'a> Identity<'a> {
    /// The principal, if there is one.
    pub fn principal(self) -> Option<&'a Principal> {
        match self {
            Self::Authenticated(principal) => Some(principal),
            Self::Anonymous | Self::Unchecked => None,
        }
    }
}
