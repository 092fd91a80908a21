//! Passwords: their rules, and their hashes.

mod pool;
mod rules;

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use http::StatusCode;
use serde::Deserialize;
use std::time::Duration;
use zeroize::Zeroizing;

use crate::error::{ApiError, ApiResult};
pub(crate) use pool::Lane;
use pool::Pool;

/// 19 MiB, 2 passes: the first recommendation of OWASP.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Verified for unknown users, so that they take the same work. No password has this hash.
const NO_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A password in a request.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Password(Zeroizing<String>);

impl Password {
    /// # Errors
    /// Returns an error with the rule that a new password of this user breaks.
    pub(crate) fn check(&self, user: &str, param: &'static str) -> ApiResult<()> {
        rules::check(&self.0, user).map_err(|rule| ApiError::invalid(param, rule))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Hashes and verifies passwords on blocking threads.
#[derive(Debug, Default)]
pub(crate) struct Passwords {
    pool: Pool,
    verifications: AtomicU64,
}

impl Passwords {
    /// Returns whether a password has this hash. Without a hash it does the same work, and
    /// returns `false`.
    ///
    /// # Errors
    /// When the lane is full.
    pub(crate) async fn verify(
        &self,
        lane: Lane,
        password: &Password,
        hash: Option<&str>,
    ) -> ApiResult<bool> {
        let password = password.clone();
        let known = hash.is_some();
        let hash = hash.unwrap_or(NO_HASH).to_owned();
        let verify = move || {
            let parsed = PasswordHash::new(&hash);
            parsed.is_ok_and(|hash| {
                let password = password.0.as_bytes();
                argon2id().verify_password(password, &hash).is_ok()
            })
        };
        let matches = self.pool.run(lane, verify).await.map_err(busy)?;
        self.verifications.fetch_add(1, Ordering::Relaxed);
        Ok(known & matches)
    }

    /// Hashes a new password, as a PHC string.
    ///
    /// # Errors
    /// When the lane is full.
    pub(crate) async fn hash(&self, lane: Lane, password: &Password) -> ApiResult<String> {
        let password = password.clone();
        let hash = move || argon2id().hash_password(password.0.as_bytes());
        let hash = self.pool.run(lane, hash).await.map_err(busy)?;
        let hash: PasswordHash = hash
            .map_err(|error| crate::AdminError::new(format!("cannot hash a password: {error}")))?;
        Ok(hash.to_string())
    }

    /// The number of verifications so far.
    #[cfg(test)]
    pub(crate) fn verifications(&self) -> u64 {
        self.verifications.load(Ordering::Relaxed)
    }
}

fn argon2id() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the costs are valid");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn busy(_: pool::Busy) -> ApiError {
    let error = ApiError::new(
        StatusCode::TOO_MANY_REQUESTS,
        "RATE_LIMITED",
        "too many logins at once; try again",
    );
    error.retry_after(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password(text.to_owned().into())
    }

    #[tokio::test]
    async fn hashes_and_verifies() {
        let passwords = Passwords::default();
        let right = password("correct horse battery staple");
        let wrong = password("wrong");
        let hash = passwords.hash(Lane::Known, &right).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let verify = |password, hash| passwords.verify(Lane::Other, password, hash);
        assert!(verify(&right, Some(&hash)).await.unwrap());
        assert!(!verify(&wrong, Some(&hash)).await.unwrap());
        assert!(!verify(&right, Some("$argon2id$broken")).await.unwrap());
    }

    #[test]
    fn unknown_users_take_the_same_work() {
        let hash = PasswordHash::new(NO_HASH).unwrap();
        let params = Params::try_from(&hash).unwrap();
        assert_eq!(
            (params.m_cost(), params.t_cost(), params.p_cost()),
            (MEMORY_KIB, PASSES, LANES)
        );
        assert_eq!(hash.hash.unwrap().len(), Params::DEFAULT_OUTPUT_LEN);
    }
}
