//! Keys that sign tokens.

use std::fmt;

use jsonwebtoken::{AlgorithmFamily, EncodingKey, crypto::aws_lc::DEFAULT_PROVIDER};

use crate::{Algorithm, KeyError, KeyErrorKind, Secret};

/// A key that signs tokens. `Debug` does not show it.
#[derive(Clone)]
pub struct SigningKey {
    id: Option<Box<str>>,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl SigningKey {
    /// Creates an HMAC key. Every verifier of the tokens can issue them, too.
    ///
    /// # Errors
    /// Returns an error when the algorithm is not HS256, HS384 or HS512, or the secret is shorter
    /// than its hash.
    pub fn hmac(algorithm: Algorithm, secret: &Secret) -> Result<Self, KeyError> {
        if secret.expose().len() < algorithm.min_secret_length() {
            return Err(KeyError::new(
                KeyErrorKind::Weak,
                "the secret is shorter than the hash of the algorithm; use at least 32 bytes \
                 for HS256, 48 for HS384 and 64 for HS512",
            ));
        }
        let key = EncodingKey::from_secret(secret.expose());
        Self::new(algorithm, key.map_err(|error| unfit().with_source(error))?)
    }

    /// Parses a private key in PEM form: `PRIVATE KEY` (PKCS #8) or `RSA PRIVATE KEY`.
    ///
    /// # Errors
    /// Returns an error when the text is not such a key, the key does not fit the algorithm, or it
    /// is an RSA key of fewer than 2048 bits.
    pub fn pem(algorithm: Algorithm, text: &str) -> Result<Self, KeyError> {
        let text = text.trim().as_bytes();
        let key = match algorithm.family() {
            AlgorithmFamily::Rsa => EncodingKey::from_rsa_pem(text),
            AlgorithmFamily::Ec => EncodingKey::from_ec_pem(text),
            AlgorithmFamily::Ed => EncodingKey::from_ed_pem(text),
            AlgorithmFamily::Hmac => return Err(unfit()),
        };
        Self::new(algorithm, key.map_err(|error| unfit().with_source(error))?)
    }

    /// Sets the `kid` of issued tokens, which allows key rotation.
    pub fn id(mut self, id: impl Into<Box<str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Returns the algorithm of the key.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn key_id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn new(algorithm: Algorithm, key: EncodingKey) -> Result<Self, KeyError> {
        let key = Self {
            id: None,
            algorithm,
            key,
        };
        // Detects unusable keys at startup instead of at the first login.
        match key.sign(b"") {
            Ok(_) => Ok(key),
            Err(error) => Err(unfit().with_source(error)),
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, jsonwebtoken::errors::Error> {
        let signer = (DEFAULT_PROVIDER.signer_factory)(&self.algorithm.backend(), &self.key)?;
        let signed = signer.try_sign(message);
        signed.map_err(|error| jsonwebtoken::errors::ErrorKind::Signing(error.to_string()).into())
    }
}

fn unfit() -> KeyError {
    KeyError::new(
        KeyErrorKind::Unsuitable,
        "not a private key for this algorithm; generate one for it",
    )
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
