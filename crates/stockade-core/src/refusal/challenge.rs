//! The `WWW-Authenticate` challenges of RFC 6750, section 3.

use std::borrow::Cow;

use http::{HeaderValue, header::WWW_AUTHENTICATE};

use crate::{
    identity::Scope,
    refusal::{Refusal, RefusalKind, RefusalReason},
};

/// Refuses in the name of one realm, as RFC 6750 has it: so that all layers that
/// authenticate and authorise do it alike.
///
/// ```
/// use stockade_core::refusal::BearerChallenge;
///
/// let challenge = BearerChallenge::new("api");
/// let refusal = challenge.insufficient(&["notes:write".parse()?]);
/// let (name, value) = &refusal.headers()[0];
/// assert_eq!(name, "www-authenticate");
/// assert_eq!(value, r#"Bearer realm="api", error="insufficient_scope", scope="notes:write""#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct BearerChallenge {
    realm: Box<str>,
    missing: HeaderValue,
    invalid: HeaderValue,
}

impl BearerChallenge {
    /// The challenges of this realm. What a quoted string cannot hold is left out of it.
    pub fn new(realm: &str) -> Self {
        let plain = |byte: &char| matches!(byte, ' '..='~') && !matches!(byte, '"' | '\\');
        let realm: String = realm.chars().filter(plain).collect();
        Self {
            missing: header(format!("Bearer realm=\"{realm}\"")),
            invalid: header(format!("Bearer realm=\"{realm}\", error=\"invalid_token\"")),
            realm: realm.into(),
        }
    }

    /// No credential: a 401 without an error code.
    pub fn missing(&self, message: &'static str, internal_reason: &'static str) -> Refusal {
        Refusal::new(RefusalKind::Unauthenticated, message)
            .with_internal_reason(internal_reason)
            .with_reason(RefusalReason::MissingCredential)
            .with_header(WWW_AUTHENTICATE, self.missing.clone())
    }

    /// A credential that is not valid: a 401 with `invalid_token`. Let the message be the
    /// same whatever is wrong; the internal_reason is for the log.
    pub fn invalid(&self, message: &'static str, internal_reason: &'static str) -> Refusal {
        Refusal::new(RefusalKind::Unauthenticated, message)
            .with_internal_reason(internal_reason)
            .with_header(WWW_AUTHENTICATE, self.invalid.clone())
    }

    /// A principal that lacks a scope: a 403 with `insufficient_scope` and the scopes that
    /// would do.
    pub fn insufficient(&self, scopes: &[Scope]) -> Refusal {
        let scopes: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
        let scopes = scopes.join(" ");
        let challenge = header(format!(
            "Bearer realm=\"{}\", error=\"insufficient_scope\", scope=\"{scopes}\"",
            self.realm
        ));
        let message = format!("the key lacks a scope that this route needs: {scopes}");
        Refusal::new(RefusalKind::Forbidden, Cow::Owned(message))
            .with_internal_reason("insufficient_scope")
            .with_header(WWW_AUTHENTICATE, challenge)
    }
}

impl Default for BearerChallenge {
    /// The realm `api`.
    fn default() -> Self {
        Self::new("api")
    }
}

fn header(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("a realm and scopes are visible ASCII")
}
