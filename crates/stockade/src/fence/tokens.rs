//! Tokens of an identity provider, accepted in addition to keys.

#[cfg(not(feature = "jwt"))]
mod disabled;
#[cfg(feature = "jwt")]
mod jwt;

#[cfg(not(feature = "jwt"))]
pub(super) use disabled::{Revocations, TokenAuth, guard};
#[cfg(feature = "jwt")]
pub(super) use jwt::{Revocations, TokenAuth, guard};
