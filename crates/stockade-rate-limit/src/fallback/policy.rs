//! The policy while the store fails.

use std::{error::Error, fmt};

use crate::Bucket;

/// The policy while the store fails. There is no default, since each choice has a cost.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum FailurePolicy {
    /// Refuses requests with a 503: the API is down together with the store.
    Deny,
    /// Allows requests without counting them: a client that can stop the store has no limits.
    Allow,
    /// Counts per process, with this share of each quota.
    ///
    /// With as many processes as the share allows (4 for a quarter), the quotas hold in total.
    /// The local counts start empty, so that each outage may allow one additional burst.
    Local {
        /// The share of each quota for one process.
        fraction: Fraction,
    },
}

/// A share of a whole: greater than 0 and at most 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Fraction(f64);

impl Fraction {
    /// The whole.
    pub const WHOLE: Self = Self(1.0);

    /// Creates a share.
    ///
    /// # Errors
    /// If it is 0 (use [`FailurePolicy::Deny`] instead), negative, greater than 1, or NaN.
    pub fn new(fraction: f64) -> Result<Self, FractionError> {
        match fraction > 0.0 && fraction <= 1.0 {
            true => Ok(Self(fraction)),
            false => Err(FractionError(())),
        }
    }

    /// The value.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The bucket with this share of its quota, at least 1. The cost is unchanged, so that a
    /// request that costs more than the share is refused.
    pub(super) fn of(self, bucket: Bucket<'_>) -> Bucket<'_> {
        bucket.with_quota(bucket.quota().scaled(self.0))
    }
}

/// The error of an invalid [`Fraction`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FractionError(());

impl fmt::Display for FractionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a fraction must be greater than 0 and at most 1; to refuse every request, use `deny`",
        )
    }
}

impl Error for FractionError {}
