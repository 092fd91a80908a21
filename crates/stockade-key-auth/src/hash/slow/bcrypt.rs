//! bcrypt hashes.

use std::ops::RangeInclusive;

use bcrypt::HashParts;

use super::{super::KeyHashError, Algorithm};

/// The maximum costs one second.
const COSTS: RangeInclusive<u32> = 4..=14;

/// bcrypt ignores further bytes, so a longer key would match with any suffix.
const MAX_KEY: usize = 72;

pub(super) static ALGORITHM: Algorithm = Algorithm {
    name: "bcrypt",
    validate,
    verify,
};

fn validate(text: &str) -> Result<(), KeyHashError> {
    if text.starts_with("$2x$") {
        return Err(KeyHashError(
            "`$2x$` hashes come from a faulty bcrypt implementation; issue a new key",
        ));
    }
    let parts: HashParts = text.parse().map_err(|_| {
        KeyHashError("the bcrypt hash is malformed or truncated; it has 60 characters")
    })?;
    match COSTS.contains(&parts.get_cost()) {
        true => Ok(()),
        false => Err(KeyHashError("the bcrypt cost is not between 4 and 14")),
    }
}

fn verify(key: &[u8], hash: &str) -> bool {
    // The hash was validated, so an error means that the key does not match.
    key.len() <= MAX_KEY && bcrypt::verify(key, hash).unwrap_or(false)
}
