//! JSON Web Keys (RFC 7517).

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use zeroize::{Zeroize as _, Zeroizing};

use crate::{Algorithm, KeyError, KeyErrorKind, Secret, VerifyingKey, json};

/// The maximum number of keys in a set.
pub(crate) const MAX_KEYS: usize = 100;

/// A key set or a single key.
#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Set { keys: Vec<Value> },
    Single(Value),
}

/// The evaluated members of a key.
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

/// A decoded key.
enum Decoded {
    Public(DecodingKey),
    Secret(Secret),
}

/// Parses the keys that fit one of the allowed algorithms.
///
/// Other keys are ignored (RFC 7517, section 5): encryption keys, unknown types and incomplete
/// keys. The whole set is rejected for a weak RSA key, a duplicate `kid`, or a secret among public
/// keys.
pub(crate) fn read(text: &[u8], allowed: &[Algorithm]) -> Result<Vec<VerifyingKey>, KeyError> {
    let document = json::from_slice(text).map_err(|error| {
        // The message of the error may quote the document, and so a secret.
        let at = format!("line {}, column {}", error.line(), error.column());
        KeyError::new(KeyErrorKind::Malformed, "invalid JSON Web Key Set").with_source(at)
    })?;
    let keys = match document {
        Document::Set { keys } => keys,
        Document::Single(key) => vec![key],
    };
    if keys.len() > MAX_KEYS {
        return Err(KeyError::new(
            KeyErrorKind::KeyCount,
            "the key set has more than 100 keys",
        ));
    }
    let is_secret = |key: &&Value| key.get("kty").and_then(Value::as_str) == Some("oct");
    let secrets = keys.iter().filter(is_secret).count();
    if (1..keys.len()).contains(&secrets) {
        return Err(KeyError::new(
            KeyErrorKind::Unsuitable,
            "the key set has secrets (`oct`) among public keys, although it may be published; \
             replace the secrets and keep them in a separate set",
        ));
    }
    let (mut usable, mut ids) = (Vec::new(), BTreeSet::new());
    for key in keys {
        // Unsupported keys are ignored (RFC 7517, section 5).
        let key = match serde_json::from_value::<Jwk>(key) {
            Ok(key) => key,
            Err(_) => {
                // The error is not logged, since its message may quote the key.
                tracing::debug!("ignoring an unsupported entry of the key set");
                continue;
            }
        };
        if !key.verifies() {
            continue;
        }
        let before = usable.len();
        for algorithm in allowed {
            usable.extend(key.as_key(*algorithm)?);
        }
        let is_used = usable.len() > before;
        if let Some(id) = key.kid.as_ref().filter(|_| is_used)
            && !ids.insert(id.clone())
        {
            let error = KeyError::new(
                KeyErrorKind::DuplicateKeyId,
                "two keys of the set have the same `kid`",
            );
            return Err(error.with_source(key.name()));
        }
    }
    if usable.is_empty() {
        return Err(KeyError::new(
            KeyErrorKind::KeyCount,
            "the key set has no key for the allowed algorithms",
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

    /// Returns the key for an algorithm; `None` when it does not fit.
    ///
    /// # Errors
    /// Returns an error for a weak RSA key.
    fn as_key(&self, algorithm: Algorithm) -> Result<Option<VerifyingKey>, KeyError> {
        let key = match self.decode(algorithm) {
            Some(Decoded::Public(key)) => VerifyingKey::new(algorithm, key),
            Some(Decoded::Secret(secret)) => VerifyingKey::hmac(algorithm, &secret),
            None => return Ok(None),
        };
        match key {
            Ok(key) => Ok(Some(self.named(key))),
            Err(error) if self.kty == "RSA" && error.kind() == KeyErrorKind::Weak => {
                Err(error.with_source(self.name()))
            }
            // An invalid point, or a secret too short for this algorithm: unusable keys are
            // ignored (RFC 7517, section 5).
            Err(error) => {
                let key = self.name();
                tracing::debug!(%key, %algorithm, %error, "ignoring an unusable key");
                Ok(None)
            }
        }
    }

    fn decode(&self, algorithm: Algorithm) -> Option<Decoded> {
        if self.alg.as_ref().is_some_and(|alg| alg != algorithm.name()) {
            return None;
        }
        let key = match (&*self.kty, self.crv.as_deref(), algorithm) {
            ("RSA", _, _) if algorithm.family() == AlgorithmFamily::Rsa => {
                DecodingKey::from_rsa_components(self.n.as_ref()?, self.e.as_ref()?)
            }
            ("EC", Some("P-256"), Algorithm::Es256) | ("EC", Some("P-384"), Algorithm::Es384) => {
                DecodingKey::from_ec_components(self.x.as_ref()?, self.y.as_ref()?)
            }
            ("OKP", Some("Ed25519"), Algorithm::EdDsa) => {
                DecodingKey::from_ed_components(self.x.as_ref()?)
            }
            ("oct", _, Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512) => {
                let secret = Zeroizing::new(URL_SAFE_NO_PAD.decode(self.k.as_ref()?).ok()?);
                return Secret::new(&*secret).ok().map(Decoded::Secret);
            }
            _ => return None,
        };
        key.ok().map(Decoded::Public)
    }

    /// Identifies the key in errors.
    fn name(&self) -> String {
        match &self.kid {
            Some(id) => format!("kid {:?}", id.chars().take(64).collect::<String>()),
            None => "a key without kid".to_owned(),
        }
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

    /// The modulus of a 2048-bit RSA key whose primes have the form of the faulty library:
    /// `k * M + (65537^a mod M)`, where `M` is the product of the first 126 primes.
    const ROCA: &str = concat!(
        "0m0Gt94IQoQ_450avFKH_dSZDk9COGFNnxL-Bo93y8x1180gOSzE4ayqrbW5TOZASW-4tnjKc3BlCzGi",
        "wJH79XsvkYXHQxKUCgkkfFORJ-ClGLsoYrqj-NBWN2qoWYMuePll6hfeIw73wzbttud84xbB37lSJM5Z",
        "7izv9qhf5AkMrqzr9yJjmsHPSpB0Xa801pfDlrnW1Wrix0RSDKY0T1IIsLv9B-pJ62_wPIXas39-Mp6f",
        "fcTldjhcYI8haC340gue03PU94a_Qf9cSB-QzE9v1uH-6ajjh1wUqWn3E9CYhlsRx4aSVgvEaTCBmfMt",
        "2Ya1lL9CCdiUXmwpg_0Udw",
    );

    fn ids(text: &str, allowed: &[Algorithm]) -> Vec<Option<String>> {
        let keys = read(text.as_bytes(), allowed).unwrap_or_default();
        keys.iter()
            .map(|key| key.key_id().map(str::to_owned))
            .collect()
    }

    #[test]
    fn accepts_a_single_key_or_a_set() {
        assert_eq!(ids(ED, &[Algorithm::EdDsa]), [None]);
        let set = format!(r#"{{"keys":[{ED}]}}"#);
        assert_eq!(ids(&set, &[Algorithm::EdDsa]), [None]);
    }

    #[test]
    fn ignores_keys_that_are_not_for_verification() {
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

    // J03: no other key type is used as a secret.
    #[test]
    fn only_an_octet_key_is_a_secret() {
        assert!(ids(ED, &[Algorithm::Hs256, Algorithm::Rs256]).is_empty());
        let short = r#"{"kty":"oct","k":"c2hvcnQ"}"#;
        assert!(ids(short, &[Algorithm::Hs256]).is_empty());
    }

    fn error_kind(text: &str) -> KeyErrorKind {
        let all = [Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Hs256];
        read(text.as_bytes(), &all).unwrap_err().kind()
    }

    // FA14
    #[test]
    fn rejects_duplicate_key_ids() {
        let named = |id: &str, more: &str| {
            ED.replace("\"kty\"", &format!("\"kid\":\"{id}\"{more},\"kty\""))
        };
        let set = |keys: &[String]| format!(r#"{{"keys":[{}]}}"#, keys.join(","));
        let twice = set(&[named("a", ""), named("b", ""), named("a", "")]);
        assert_eq!(error_kind(&twice), KeyErrorKind::DuplicateKeyId);
        // An ignored key does not count.
        let other = set(&[named("a", ""), named("a", ",\"use\":\"enc\"")]);
        assert_eq!(ids(&other, &[Algorithm::EdDsa]), [Some("a".to_owned())]);
        let nameless = set(&[ED.to_owned(), ED.to_owned()]);
        assert_eq!(ids(&nameless, &[Algorithm::EdDsa]), [None, None]);
        // One key for two algorithms is not a duplicate.
        let rsa = format!(r#"{{"kty":"RSA","kid":"r","e":"AQAB","n":"{}"}}"#, sound());
        let both = ids(&rsa, &[Algorithm::Rs256, Algorithm::Ps256]);
        assert_eq!(both, [Some("r".to_owned()), Some("r".to_owned())]);
    }

    /// A 2048-bit number.
    fn sound() -> String {
        let mut modulus = [0xa5; 256];
        modulus[255] = 0x01;
        URL_SAFE_NO_PAD.encode(modulus)
    }

    // FA14
    #[test]
    fn rejects_sets_with_a_weak_rsa_key() {
        let rsa = |n: &str| format!(r#"{{"keys":[{ED},{{"kty":"RSA","e":"AQAB","n":"{n}"}}]}}"#);
        let short = URL_SAFE_NO_PAD.encode([0xa5; 128]);
        for n in [&*short, ROCA] {
            assert_eq!(error_kind(&rsa(n)), KeyErrorKind::Weak);
            // Without RSA algorithms, the key is ignored.
            assert_eq!(ids(&rsa(n), &[Algorithm::EdDsa]), [None]);
        }
        assert_eq!(ids(&rsa(&sound()), &[Algorithm::Rs256]), [None]);
    }

    // FA14
    #[test]
    fn rejects_secrets_among_public_keys() {
        let secret = r#"{"kty":"oct","k":"c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA"}"#;
        for keys in [
            format!("{ED},{secret}"),
            format!(r#"{secret},{{"kty":"new"}}"#),
            format!(r#"{ED},{{"kty":"oct","use":"enc"}}"#),
        ] {
            let set = format!(r#"{{"keys":[{keys}]}}"#);
            assert_eq!(error_kind(&set), KeyErrorKind::Unsuitable, "{keys}");
        }
        let set = format!(r#"{{"keys":[{secret},{secret}]}}"#);
        assert_eq!(ids(&set, &[Algorithm::Hs256]), [None, None]);
    }

    // FA14
    #[test]
    fn rejects_duplicate_members() {
        let twice = ED.replace("\"crv\"", "\"crv\":\"Ed25519\",\"crv\"");
        assert_eq!(error_kind(&twice), KeyErrorKind::Malformed);
    }

    #[test]
    fn rejects_too_many_keys() {
        let set = format!(r#"{{"keys":[{}]}}"#, vec![ED; MAX_KEYS + 1].join(","));
        let error = read(set.as_bytes(), &[Algorithm::EdDsa]).unwrap_err();
        assert_eq!(error.kind(), KeyErrorKind::KeyCount);
    }

    #[test]
    fn errors_do_not_quote_the_document() {
        let text = r#"{"kty":"oct","k":"very-secret"x"#;
        let error = read(text.as_bytes(), &[Algorithm::Hs256]).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("very-secret"));
    }
}
