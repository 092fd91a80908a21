//! Keys that verify signatures.

use std::fmt;

use jsonwebtoken::{
    AlgorithmFamily, DecodingKey, DecodingKeyKind, crypto::aws_lc::DEFAULT_PROVIDER,
};

use crate::{Algorithm, KeyError, KeyErrorKind, Secret, roca};

/// A key that verifies signatures of exactly one algorithm.
///
/// Configure a key for two algorithms, such as an RSA key for RS256 and PS256, as two keys.
#[derive(Clone)]
pub struct VerifyingKey {
    id: Option<Box<str>>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// NIST SP 800-131A; the backend rejects shorter keys as well.
const MIN_RSA_BITS: usize = 2_048;
const MAX_RSA_BITS: usize = 8_192;

impl VerifyingKey {
    /// Creates an HMAC key from a shared secret.
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
        let key = DecodingKey::from_secret(secret.expose());
        Self::new(algorithm, key.map_err(|error| unfit().with_source(error))?)
    }

    /// Parses a public key in PEM form: `PUBLIC KEY` or `RSA PUBLIC KEY`.
    ///
    /// # Errors
    /// Returns an error when the text is not such a key, the key does not fit the algorithm, or it
    /// is an RSA key of fewer than 2048 bits or with the ROCA weakness. Certificates are rejected
    /// because their expiry would not be checked, and private keys because a verifying server must
    /// not have them.
    pub fn pem(algorithm: Algorithm, text: &str) -> Result<Self, KeyError> {
        let label = text
            .trim_start()
            .strip_prefix("-----BEGIN ")
            .and_then(|rest| rest.split_once("-----"))
            .map(|(label, _)| label);
        if !matches!(label, Some("PUBLIC KEY" | "RSA PUBLIC KEY")) {
            return Err(KeyError::new(
                KeyErrorKind::Malformed,
                "not a PEM `PUBLIC KEY`; extract the public key first",
            ));
        }
        let text = text.trim().as_bytes();
        let key = match algorithm.family() {
            AlgorithmFamily::Rsa => DecodingKey::from_rsa_pem(text),
            AlgorithmFamily::Ec => DecodingKey::from_ec_pem(text),
            AlgorithmFamily::Ed => DecodingKey::from_ed_pem(text),
            AlgorithmFamily::Hmac => return Err(unfit()),
        };
        Self::new(algorithm, key.map_err(|error| unfit().with_source(error))?)
    }

    /// Sets the `kid`. The key then verifies only tokens with this `kid` or without one.
    pub fn id(mut self, id: impl Into<Box<str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Returns the algorithm of the key.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn new(algorithm: Algorithm, key: DecodingKey) -> Result<Self, KeyError> {
        check(algorithm, &key)?;
        Ok(Self {
            id: None,
            algorithm,
            key,
        })
    }

    pub(crate) fn key_id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Returns whether the signature is valid. The backend compares HMACs in constant time.
    pub(crate) fn verifies(&self, message: &[u8], signature: &Vec<u8>) -> bool {
        // Uses an explicit provider: the process default panics when another crate enables the
        // second backend of `jsonwebtoken`.
        (DEFAULT_PROVIDER.verifier_factory)(&self.algorithm.backend(), &self.key)
            .is_ok_and(|verifier| verifier.verify(message, signature).is_ok())
    }
}

/// Detects unusable keys early, which would otherwise never verify a token.
fn check(algorithm: Algorithm, key: &DecodingKey) -> Result<(), KeyError> {
    if key.family() != algorithm.family() {
        return Err(unfit());
    }
    match (algorithm.family(), key.kind()) {
        (AlgorithmFamily::Hmac, _) => Ok(()),
        (AlgorithmFamily::Rsa, DecodingKeyKind::RsaModulusExponent { n, .. }) => check_rsa(n),
        (AlgorithmFamily::Rsa, DecodingKeyKind::SecretOrDer(der)) => {
            let components = DEFAULT_PROVIDER
                .key_utils
                .rsa_pub_components_from_public_key;
            let (n, _) = components(der).map_err(|error| unfit().with_source(error))?;
            check_rsa(&n)
        }
        (_, DecodingKeyKind::SecretOrDer(bytes)) => {
            // An uncompressed curve point, or an Ed25519 point.
            let length = match algorithm {
                Algorithm::Es256 => 65,
                Algorithm::Es384 => 97,
                _ => 32,
            };
            if bytes.len() == length {
                Ok(())
            } else {
                Err(unfit())
            }
        }
        (_, DecodingKeyKind::RsaModulusExponent { .. }) => Err(unfit()),
    }
}

fn check_rsa(modulus: &[u8]) -> Result<(), KeyError> {
    let leading = modulus.iter().take_while(|byte| **byte == 0).count();
    let bits = match modulus.get(leading) {
        Some(first) => (modulus.len() - leading) * 8 - first.leading_zeros() as usize,
        None => 0,
    };
    if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
        return Err(KeyError::new(
            KeyErrorKind::Weak,
            "the RSA key does not have 2048 to 8192 bits",
        ));
    }
    if roca::has_fingerprint(modulus) {
        return Err(KeyError::new(
            KeyErrorKind::Weak,
            "the RSA key is weak (ROCA, CVE-2017-15361); have its owner generate a new one",
        ));
    }
    Ok(())
}

fn unfit() -> KeyError {
    KeyError::new(
        KeyErrorKind::Unsuitable,
        "the key does not fit its algorithm; configure the algorithm that the issuer signs \
         with",
    )
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
