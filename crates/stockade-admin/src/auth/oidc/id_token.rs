//! Verification of ID tokens (OpenID Connect Core 1.0, section 3.1.3.7).

use ctutils::CtEq as _;
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, Validation, decode, decode_header,
    jwk::{Jwk, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The tolerated difference of clocks.
const LEEWAY_SECS: u64 = 60;
const MAX_SUBJECT: usize = 255;
/// Without a key id, more keys are not tried.
const MAX_CANDIDATES: usize = 4;

/// What an ID token must contain.
pub(super) struct Expected<'e> {
    pub(super) issuer: &'e str,
    pub(super) client_id: &'e str,
    pub(super) nonce: &'e str,
    /// Seconds since 1970.
    pub(super) now: u64,
}

/// A verified ID token.
#[derive(Deserialize)]
pub(super) struct IdToken {
    iss: String,
    pub(super) sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: u64,
    iat: u64,
    nbf: Option<u64>,
    nonce: Option<String>,
    /// The other claims.
    #[serde(flatten)]
    pub(super) claims: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Why an ID token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdTokenError {
    /// The keys may have been replaced since they were loaded.
    UnknownKey,
    Invalid(&'static str),
}

/// Verifies an ID token. The algorithm must be that of the key; secrets are no keys.
pub(super) fn verify(
    text: &str,
    keys: &[Jwk],
    expected: &Expected<'_>,
) -> Result<IdToken, IdTokenError> {
    let invalid = IdTokenError::Invalid;
    let header = decode_header(text).map_err(|_| invalid("malformed"))?;
    if header.alg.family() == AlgorithmFamily::Hmac {
        return Err(invalid("algorithm not allowed"));
    }
    let is_jwt = |kind: &String| kind.eq_ignore_ascii_case("JWT");
    if !header.typ.as_ref().is_none_or(is_jwt) {
        return Err(invalid("wrong token type"));
    }
    let id = header.kid.as_deref();
    let candidates = keys.iter().filter(|key| fits(key, id, header.alg));
    let candidates: Vec<_> = candidates.take(MAX_CANDIDATES).collect();
    if candidates.is_empty() {
        return Err(IdTokenError::UnknownKey);
    }
    let mut validation = Validation::new(header.alg);
    // The claims are validated below, with the clock of the administration.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let verified = candidates.into_iter().find_map(|key| {
        let key = DecodingKey::from_jwk(key).ok()?;
        decode::<Value>(text, &key, &validation).ok()
    });
    let claims = verified.ok_or(invalid("wrong signature"))?.claims;
    let token = serde_json::from_value(claims).map_err(|_| invalid("malformed claims"))?;
    check(&token, expected).map_err(invalid)?;
    Ok(token)
}

fn fits(key: &Jwk, id: Option<&str>, algorithm: Algorithm) -> bool {
    let common = &key.common;
    let is_named = match (id, common.key_id.as_deref()) {
        (Some(id), Some(known)) => id == known,
        _ => true,
    };
    let usage = common.public_key_use.as_ref();
    let name = format!("{algorithm:?}");
    is_named
        && usage.is_none_or(|usage| *usage == PublicKeyUse::Signature)
        && common
            .key_algorithm
            .is_none_or(|known| known.to_string() == name)
        && DecodingKey::from_jwk(key).is_ok_and(|key| key.family() == algorithm.family())
}

fn check(token: &IdToken, expected: &Expected<'_>) -> Result<(), &'static str> {
    if token.iss != expected.issuer {
        return Err("wrong issuer");
    }
    let (is_audience, is_only) = match &token.aud {
        Audience::One(one) => (one == expected.client_id, true),
        Audience::Several(all) => (
            all.iter().any(|one| one == expected.client_id),
            all.len() == 1,
        ),
    };
    if !is_audience {
        return Err("wrong audience");
    }
    match token.azp.as_deref() {
        Some(party) if party != expected.client_id => return Err("wrong authorized party"),
        None if !is_only => return Err("several audiences without an authorized party"),
        _ => {}
    }
    if expected.now >= token.exp.saturating_add(LEEWAY_SECS) {
        return Err("expired");
    }
    let from = token.iat.max(token.nbf.unwrap_or_default());
    if from > expected.now.saturating_add(LEEWAY_SECS) {
        return Err("not valid yet");
    }
    let nonce = token.nonce.as_deref().unwrap_or_default();
    if !bool::from(nonce.as_bytes().ct_eq(expected.nonce.as_bytes())) {
        return Err("wrong nonce");
    }
    let is_subject =
        (1..=MAX_SUBJECT).contains(&token.sub.len()) && !token.sub.chars().any(char::is_control);
    if !is_subject {
        return Err("invalid subject");
    }
    Ok(())
}

impl IdToken {
    /// A claim that is a text or a list of texts.
    pub(super) fn texts(&self, name: &str) -> Vec<&str> {
        match self.claims.get(name) {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}
