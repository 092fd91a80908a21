//! Random ids and secrets.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::AdminError;

/// A random id with a prefix, such as `usr_…`: 128 bits.
pub(crate) fn random_id(prefix: &str) -> Result<String, AdminError> {
    Ok(format!("{prefix}_{}", random_text::<16>()?))
}

/// `N` random bytes, as URL-safe base64.
pub(crate) fn random_text<const N: usize>() -> Result<String, AdminError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| AdminError::new(format!("the system has no random numbers: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The SHA-256 digest of a random secret, as URL-safe base64. A database that leaks reveals no
/// secret, and lookups by the digest reveal nothing by their time.
pub(crate) fn digest(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_distinct() {
        let id = random_id("usr").unwrap();
        assert_eq!(id.len(), 4 + 22);
        assert_ne!(id, random_id("usr").unwrap());
    }
}
