//! Signature algorithms.

use std::{error::Error, fmt, str::FromStr};

use jsonwebtoken::{Algorithm as Backend, AlgorithmFamily};

/// A signature algorithm of RFC 7518 or RFC 8037.
///
/// The algorithm is configured with the key. The `alg` header of a token must match it, and never
/// selects it. `none` is not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC with SHA-256 and a shared secret.
    Hs256,
    /// HMAC with SHA-384 and a shared secret.
    Hs384,
    /// HMAC with SHA-512 and a shared secret.
    Hs512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// ECDSA over P-384 with SHA-384.
    Es384,
    /// EdDSA over Ed25519.
    EdDsa,
}

const TABLE: [(Algorithm, &str, Backend); 12] = [
    (Algorithm::Hs256, "HS256", Backend::HS256),
    (Algorithm::Hs384, "HS384", Backend::HS384),
    (Algorithm::Hs512, "HS512", Backend::HS512),
    (Algorithm::Rs256, "RS256", Backend::RS256),
    (Algorithm::Rs384, "RS384", Backend::RS384),
    (Algorithm::Rs512, "RS512", Backend::RS512),
    (Algorithm::Ps256, "PS256", Backend::PS256),
    (Algorithm::Ps384, "PS384", Backend::PS384),
    (Algorithm::Ps512, "PS512", Backend::PS512),
    (Algorithm::Es256, "ES256", Backend::ES256),
    (Algorithm::Es384, "ES384", Backend::ES384),
    (Algorithm::EdDsa, "EdDSA", Backend::EdDSA),
];

impl Algorithm {
    /// Returns the `alg` name.
    pub const fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    pub(crate) const fn backend(self) -> Backend {
        TABLE[self as usize].2
    }

    pub(crate) fn family(self) -> AlgorithmFamily {
        self.backend().family()
    }

    /// The minimum length of a secret in bytes: that of the hash (RFC 7518, section 3.2).
    pub(crate) const fn min_secret_length(self) -> usize {
        match self {
            Self::Hs512 => 64,
            Self::Hs384 => 48,
            _ => 32,
        }
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        TABLE
            .iter()
            .find(|row| row.1 == name)
            .map(|row| row.0)
            .ok_or_else(|| UnknownAlgorithm(name.chars().take(32).collect()))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The error of an unknown or unsupported algorithm name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownAlgorithm(String);

impl fmt::Display for UnknownAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unsupported algorithm {:?}; use one of", self.0)?;
        TABLE.iter().try_for_each(|row| write!(f, " {}", row.1))
    }
}

impl Error for UnknownAlgorithm {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_matches_the_enum() {
        for (algorithm, name, backend) in TABLE {
            assert_eq!(algorithm.name(), name);
            assert_eq!(algorithm.backend(), backend);
            assert_eq!(name.parse(), Ok(algorithm));
        }
    }

    // J02
    #[test]
    fn rejects_none_and_unknown_names() {
        for name in [
            "none", "None", "NONE", "nOnE", "", "hs256", "HS256 ", "ES512",
        ] {
            assert!(name.parse::<Algorithm>().is_err(), "{name:?}");
        }
    }
}
