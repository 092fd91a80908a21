//! argon2id hashes.

use argon2::{
    Argon2, Params,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};

use super::{super::KeyHashError, Algorithm};

/// The maximum cost.
const MEMORY_KIB: u32 = 256 * 1024;
const PASSES: u32 = 10;
const LANES: u32 = 16;

const MALFORMED: KeyHashError =
    KeyHashError("the argon2id hash is malformed or truncated; use a PHC string");

pub(super) static ALGORITHM: Algorithm = Algorithm {
    name: "argon2id",
    validate,
    verify,
};

/// Hashes a key with the default parameters.
pub(in crate::hash) fn hash(key: &[u8]) -> Result<String, KeyHashError> {
    let hash = Argon2::default()
        .hash_password(key)
        .map_err(|_| KeyHashError("the operating system provides no randomness"))?;
    Ok(hash.to_string())
}

fn validate(text: &str) -> Result<(), KeyHashError> {
    let hash = PasswordHash::new(text).map_err(|_| MALFORMED)?;
    if hash.algorithm.as_str() != "argon2id" {
        return Err(KeyHashError("unsupported argon2 variant; use argon2id"));
    }
    if hash.hash.is_none() || hash.salt.is_none() {
        return Err(MALFORMED);
    }
    let params = Params::try_from(&hash).map_err(|_| MALFORMED)?;
    if params.m_cost() > MEMORY_KIB || params.t_cost() > PASSES || params.p_cost() > LANES {
        return Err(KeyHashError(
            "the argon2id hash exceeds 256 MiB, 10 passes or 16 lanes",
        ));
    }
    Ok(())
}

fn verify(key: &[u8], hash: &str) -> bool {
    // The hash was validated, so an error means that the key does not match.
    Argon2::default().verify_password(key, hash).is_ok()
}
