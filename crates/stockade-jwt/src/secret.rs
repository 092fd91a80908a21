//! Shared secrets of HMAC keys.

use std::fmt;

use zeroize::Zeroizing;

use crate::{KeyError, KeyErrorKind};

/// The secret of an HMAC key: at least 32 bytes, zeroized on drop, not shown by `Debug`.
///
/// ```
/// use stockade_jwt::Secret;
///
/// let secret = Secret::new(b"thirty-two random bytes or more!")?;
/// assert!(!format!("{secret:?}").contains("thirty"));
/// assert!(Secret::new("changeme").is_err());
/// # Ok::<(), stockade_jwt::KeyError>(())
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// The minimum length in bytes; HS384 and HS512 require 48 and 64.
    pub const MIN_LENGTH: usize = 32;

    /// Creates a secret.
    ///
    /// # Errors
    /// Returns an error for fewer than 32 bytes, and for keys in PEM or JWK form: with a public
    /// key as the secret, anyone could sign tokens.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let bytes = bytes.as_ref();
        if looks_like_a_key(bytes) {
            return Err(KeyError::new(
                KeyErrorKind::Malformed,
                "a key in PEM or JWK form is not a secret; use `VerifyingKey::pem` or \
                 `KeySet::from_jwks`",
            ));
        }
        if bytes.len() < Self::MIN_LENGTH {
            return Err(KeyError::new(
                KeyErrorKind::Weak,
                "the secret is shorter than 32 bytes; use at least 32 random bytes",
            ));
        }
        Ok(Self(Zeroizing::new(bytes.into())))
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

fn looks_like_a_key(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    text.starts_with(b"-----BEGIN ") || (text.starts_with(b"{") && holds(b"\"kty\""))
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_short_secrets_and_hides_them() {
        assert_eq!(
            Secret::new([b'x'; 31]).unwrap_err().kind(),
            KeyErrorKind::Weak
        );
        let secret = Secret::new([b'x'; 32]).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    // J03
    #[test]
    fn rejects_public_keys() {
        let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----";
        let jwk =
            r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        for text in [pem.to_owned(), format!(" \n{pem}\n"), jwk.to_owned()] {
            let error = Secret::new(&text).unwrap_err();
            assert_eq!(error.kind(), KeyErrorKind::Malformed, "{text}");
        }
    }
}
