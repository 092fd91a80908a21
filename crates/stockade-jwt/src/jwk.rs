//! Keys in JSON (RFC 7517).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::Value;
use zeroize::{Zeroize as _, Zeroizing};

use crate::{Algorithm, KeyError, KeyErrorKind, Secret, VerifyingKey};

/// More keys than this are no key set, but a mistake or an attack.
pub(crate) const MOST_KEYS: usize = 100;

/// A whole key set, or a single key.
#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Set { keys: Vec<Value> },
    Single(Value),
}

/// The members of a key that are looked at.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<Box<str>>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

impl Drop for Jwk {
    fn drop(&mut self) {
        self.k.zeroize();
    }
}

/// Reads the keys that can be used with one of the allowed algorithms.
///
/// What else is in the set is left out, as RFC 7517, section 5, wants it: keys for
/// encryption, unknown types, keys that lack something.
pub(crate) fn read(text: &[u8], allowed: &[Algorithm]) -> Result<Vec<VerifyingKey>, KeyError> {
    let document = serde_json::from_slice(text).map_err(|error| {
        // The error's text may cite the document, and so a secret.
        let at = format!("line {}, column {}", error.line(), error.column());
        KeyError::new(KeyErrorKind::Malformed, "this is no JSON Web Key Set").because(at)
    })?;
    let keys = match document {
        Document::Set { keys } => keys,
        Document::Single(key) => vec![key],
    };
    if keys.len() > MOST_KEYS {
        return Err(KeyError::new(
            KeyErrorKind::Count,
            "a key set has at most 100 keys",
        ));
    }
    let usable: Vec<_> = keys
        .into_iter()
        .filter_map(|key| serde_json::from_value::<Jwk>(key).ok())
        .filter(Jwk::verifies)
        .flat_map(|key| {
            allowed
                .iter()
                .filter_map(move |algorithm| key.as_key(*algorithm))
        })
        .collect();
    if usable.is_empty() {
        return Err(KeyError::new(
            KeyErrorKind::Count,
            "the key set has no key for any of the allowed algorithms",
        ));
    }
    Ok(usable)
}

impl Jwk {
    fn verifies(&self) -> bool {
        let operations = self.key_ops.as_deref();
        self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && operations.is_none_or(|operations| operations.iter().any(|one| one == "verify"))
    }

    /// The key for one algorithm; `None` when it is not for that one.
    fn as_key(&self, algorithm: Algorithm) -> Option<VerifyingKey> {
        if self.alg.as_ref().is_some_and(|alg| alg != algorithm.name()) {
            return None;
        }
        let key = match (&*self.kty, self.crv.as_deref(), algorithm) {
            ("RSA", _, _) => DecodingKey::from_rsa_components(self.n.as_ref()?, self.e.as_ref()?),
            ("EC", Some("P-256"), Algorithm::Es256) | ("EC", Some("P-384"), Algorithm::Es384) => {
                DecodingKey::from_ec_components(self.x.as_ref()?, self.y.as_ref()?)
            }
            ("OKP", Some("Ed25519"), Algorithm::EdDsa) => {
                DecodingKey::from_ed_components(self.x.as_ref()?)
            }
            ("oct", _, Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512) => {
                let secret = Zeroizing::new(URL_SAFE_NO_PAD.decode(self.k.as_ref()?).ok()?);
                return VerifyingKey::hmac(algorithm, &Secret::new(&*secret).ok()?)
                    .ok()
                    .map(|key| self.named(key));
            }
            _ => return None,
        };
        let key = VerifyingKey::new(algorithm, key.ok()?).ok()?;
        Some(self.named(key))
    }

    fn named(&self, key: VerifyingKey) -> VerifyingKey {
        match &self.kid {
            Some(id) => key.id(id.clone()),
            None => key,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    fn ids(text: &str, allowed: &[Algorithm]) -> Vec<Option<String>> {
        let keys = read(text.as_bytes(), allowed).unwrap_or_default();
        keys.iter()
            .map(|key| key.key_id().map(str::to_owned))
            .collect()
    }

    #[test]
    fn takes_a_single_key_or_a_set() {
        assert_eq!(ids(ED, &[Algorithm::EdDsa]), [None]);
        let set = format!(r#"{{"keys":[{ED}]}}"#);
        assert_eq!(ids(&set, &[Algorithm::EdDsa]), [None]);
    }

    #[test]
    fn leaves_out_what_is_not_for_verifying() {
        let key = |members: &str| ED.replace("\"kty\"", &format!("{members},\"kty\""));
        for members in [
            r#""use":"enc""#,
            r#""key_ops":["sign"]"#,
            r#""alg":"ES256""#,
            r#""alg":"none""#,
        ] {
            let set = format!(
                r#"{{"keys":[{},{}]}}"#,
                key(members),
                key(r#""kid":"good""#)
            );
            assert_eq!(
                ids(&set, &[Algorithm::EdDsa]),
                [Some("good".to_owned())],
                "{members}"
            );
        }
        let odd = format!(r#"{{"keys":[7,{{"kty":"new"}},{{"kty":"RSA"}},{ED}]}}"#);
        assert_eq!(ids(&odd, &[Algorithm::EdDsa]), [None]);
    }

    // J03: a key of another type is no secret, whatever is allowed.
    #[test]
    fn only_an_octet_key_is_a_secret() {
        assert!(ids(ED, &[Algorithm::Hs256, Algorithm::Rs256]).is_empty());
        let short = r#"{"kty":"oct","k":"c2hvcnQ"}"#;
        assert!(ids(short, &[Algorithm::Hs256]).is_empty());
    }

    #[test]
    fn refuses_a_set_without_end() {
        let set = format!(r#"{{"keys":[{}]}}"#, vec![ED; MOST_KEYS + 1].join(","));
        let error = read(set.as_bytes(), &[Algorithm::EdDsa]).unwrap_err();
        assert_eq!(error.kind(), KeyErrorKind::Count);
    }

    #[test]
    fn an_error_never_cites_the_document() {
        let text = r#"{"kty":"oct","k":"very-secret"x"#;
        let error = read(text.as_bytes(), &[Algorithm::Hs256]).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("very-secret"));
    }
}
