//! Validation of claims, and their mapping to a principal.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use stockade_core::{
    clock::Timestamp,
    identity::{Principal, Scope, ScopeSet},
};

use crate::{claims::Claims, token_error::TokenError};

/// Validation rules for tokens, and the mapping of claims to a principal.
///
/// ```
/// use stockade_jwt::TokenRules;
///
/// let rules = TokenRules::new("https://id.example.com", "https://api.example.com")
///     .token_type("at+jwt")
///     .scope_claim("permissions")
///     .attribute("email", "owner");
/// ```
#[derive(Clone, Debug)]
pub struct TokenRules {
    issuer: Option<Box<str>>,
    audience: Option<Box<str>>,
    token_type: Option<Box<str>>,
    leeway: Duration,
    subject: Box<str>,
    id_prefix: Box<str>,
    scope: Box<str>,
    /// Claims and the attributes to store them in.
    attributes: Vec<(Box<str>, Box<str>)>,
    needs_id: bool,
}

/// The default of `jsonwebtoken` and Spring Security; RFC 7519 allows "no more than a few
/// minutes".
const LEEWAY: Duration = Duration::from_secs(60);
/// The maximum length of a subject in bytes.
const MAX_SUBJECT_LENGTH: usize = 256;

impl TokenRules {
    /// Accepts tokens of an issuer (`iss`) for an audience (`aud`), both compared byte by byte.
    pub fn new(issuer: impl Into<Box<str>>, audience: impl Into<Box<str>>) -> Self {
        Self {
            issuer: Some(issuer.into()),
            audience: Some(audience.into()),
            token_type: None,
            leeway: LEEWAY,
            subject: "sub".into(),
            id_prefix: "".into(),
            scope: "scope".into(),
            attributes: Vec::new(),
            needs_id: false,
        }
    }

    /// Accepts any issuer, as long as a configured key has signed the token.
    pub fn dangerous_any_issuer(mut self) -> Self {
        self.issuer = None;
        self
    }

    /// Accepts tokens without an `aud` only: a token with an `aud` is rejected then, as RFC 7519,
    /// section 4.1.3, requires.
    pub fn dangerous_no_audience(mut self) -> Self {
        self.audience = None;
        self
    }

    /// Accepts this token type (`typ`) only, such as `at+jwt` (RFC 9068).
    ///
    /// By default, the types `JWT` and `at+jwt` and tokens without a type are accepted.
    pub fn token_type(mut self, token_type: impl Into<Box<str>>) -> Self {
        self.token_type = Some(token_type.into());
        self
    }

    /// Sets the tolerated clock skew; 60 seconds by default.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Sets the claim for the id of the principal; `sub` by default.
    pub fn subject_claim(mut self, name: impl Into<Box<str>>) -> Self {
        self.subject = name.into();
        self
    }

    /// Sets a prefix for the ids of principals; empty by default.
    ///
    /// Use it when principals come from several issuers, or from API keys as well: limits, bans and
    /// the audit log identify a principal by its id.
    pub fn id_prefix(mut self, prefix: impl Into<Box<str>>) -> Self {
        self.id_prefix = prefix.into();
        self
    }

    /// Sets the claim for the scopes, a string separated by spaces or an array of strings; `scope`
    /// by default.
    ///
    /// Values that are not a valid [`Scope`] are ignored.
    pub fn scope_claim(mut self, name: impl Into<Box<str>>) -> Self {
        self.scope = name.into();
        self
    }

    /// Copies a claim that is a string, a number or a boolean to an attribute of the principal.
    /// Other types are ignored.
    pub fn attribute(mut self, claim: impl Into<Box<str>>, attribute: impl Into<Box<str>>) -> Self {
        self.attributes.push((claim.into(), attribute.into()));
        self
    }

    /// Requires a `jti`, without which a token cannot be revoked.
    pub(crate) fn require_id(&mut self) {
        self.needs_id = true;
    }

    pub(crate) fn check_type(&self, token_type: Option<&str>) -> Result<(), TokenError> {
        // RFC 7515, section 4.1.9: a media type, with an optional `application/` prefix.
        let bare = token_type.map(|text| match text.split_at_checked("application/".len()) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest,
            _ => text,
        });
        let is = |wanted: &str| bare.is_some_and(|text| text.eq_ignore_ascii_case(wanted));
        let fits = match &self.token_type {
            Some(wanted) => is(wanted),
            None => bare.is_none() || is("JWT") || is("at+jwt"),
        };
        fits.then_some(()).ok_or(TokenError::Type)
    }

    /// Validates the claims of a token with a verified signature.
    pub(crate) fn validate(
        &self,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<VerifiedToken, TokenError> {
        let validity = ValidityPeriod::of(claims, self.leeway)?;
        validity.check(now)?;
        self.check_issuer(claims)?;
        self.check_audience(claims)?;
        // Tokens bound to a key (RFC 7800), a certificate (RFC 8705) or a DPoP proof (RFC 9449)
        // require a proof of possession, which is not verified.
        if claims.get("cnf").is_some() {
            return Err(TokenError::BindingNotVerified);
        }
        let token_id = claims.text("jti")?.filter(|id| !id.is_empty());
        if self.needs_id && token_id.is_none() {
            return Err(TokenError::MissingId);
        }
        Ok(VerifiedToken {
            principal: self.principal(claims)?,
            validity,
            token_id: token_id.map(Arc::from),
        })
    }

    fn check_issuer(&self, claims: &Claims) -> Result<(), TokenError> {
        match (&self.issuer, claims.text("iss")?) {
            (None, _) => Ok(()),
            (Some(wanted), Some(issuer)) if **wanted == *issuer => Ok(()),
            _ => Err(TokenError::Issuer),
        }
    }

    fn check_audience(&self, claims: &Claims) -> Result<(), TokenError> {
        let fits = match (&self.audience, claims.get("aud")) {
            (None, None) => true,
            (Some(wanted), Some(Value::String(audience))) => **wanted == **audience,
            // An array with other types is invalid.
            (Some(wanted), Some(Value::Array(audiences))) => {
                audiences.iter().all(Value::is_string)
                    && audiences.iter().any(|one| one.as_str() == Some(&**wanted))
            }
            _ => false,
        };
        fits.then_some(()).ok_or(TokenError::Audience)
    }

    fn principal(&self, claims: &Claims) -> Result<Principal, TokenError> {
        let subject = claims.text(&self.subject)?.ok_or(TokenError::Subject)?;
        let valid = (1..=MAX_SUBJECT_LENGTH).contains(&subject.len())
            && !subject.chars().any(char::is_control);
        if !valid {
            return Err(TokenError::Subject);
        }
        let principal = Principal::builder(format!("{}{subject}", self.id_prefix))
            .scopes(scopes(claims.get(&self.scope))?);
        let attributes = self.attributes.iter().filter_map(|(claim, attribute)| {
            let value = match claims.get(claim)? {
                Value::String(text) => text.clone(),
                value @ (Value::Number(_) | Value::Bool(_)) => value.to_string(),
                // Arrays and objects are not copied.
                _ => return None,
            };
            Some((attribute.clone(), value))
        });
        Ok(attributes
            .fold(principal, |principal, (name, value)| {
                principal.attribute(name, value)
            })
            .build())
    }
}

fn scopes(claim: Option<&Value>) -> Result<ScopeSet, TokenError> {
    // Identity providers may list roles with arbitrary names, which are not scopes.
    let known = |text: &str| text.parse::<Scope>().ok();
    match claim {
        None => Ok(ScopeSet::default()),
        Some(Value::String(text)) => Ok(text.split_ascii_whitespace().filter_map(known).collect()),
        Some(Value::Array(texts)) => texts
            .iter()
            .map(|text| text.as_str().ok_or(TokenError::Scopes))
            .filter_map(|text| text.map(known).transpose())
            .collect(),
        Some(_) => Err(TokenError::Scopes),
    }
}

/// A verified token, within its validity period.
#[derive(Clone, Debug)]
pub(crate) struct VerifiedToken {
    pub(crate) principal: Principal,
    pub(crate) validity: ValidityPeriod,
    pub(crate) token_id: Option<Arc<str>>,
}

/// The validity period of a token, including the leeway.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ValidityPeriod {
    from: Timestamp,
    pub(crate) until: Timestamp,
}

impl ValidityPeriod {
    /// Creates a period that starts this long after the epoch.
    pub(crate) fn new(from: Duration, until: Timestamp) -> Self {
        Self {
            from: Timestamp::default() + from,
            until,
        }
    }

    /// Requires `exp`. A token is not valid before its `iat`, regardless of `nbf`.
    fn of(claims: &Claims, leeway: Duration) -> Result<Self, TokenError> {
        let expires = claims.timestamp("exp")?.ok_or(TokenError::Claims)?;
        let not_before = claims.timestamp("nbf")?.unwrap_or_default();
        let issued = claims.timestamp("iat")?.unwrap_or_default();
        let from = not_before.max(issued) - Timestamp::default();
        Ok(Self::new(from.saturating_sub(leeway), expires + leeway))
    }

    pub(crate) fn check(&self, now: Timestamp) -> Result<(), TokenError> {
        if now >= self.until {
            Err(TokenError::Expired)
        } else if now < self.from {
            Err(TokenError::NotYetValid)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
