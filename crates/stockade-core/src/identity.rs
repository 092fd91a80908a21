//! Who makes a request: principals, their scopes, and the guards that authenticate them.

mod authenticator;
mod principal;
mod scope;

pub use authenticator::{Authenticator, EitherAuth, is_token_shaped};
#[doc(hidden)]
pub use authenticator::{EitherPass, EitherWait};
pub use principal::{Principal, PrincipalBuilder, QuotaOverrides};
pub use scope::{Scope, ScopeError, ScopeSet};
