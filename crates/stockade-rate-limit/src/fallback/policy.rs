//! What is done while the store does not answer.

use std::{error::Error, fmt};

use crate::Bucket;

/// What is done while the store does not answer. There is no default: each choice has a
/// price that somebody has to agree to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FailurePolicy {
    /// Requests are refused with a 503. The API is down with the store.
    Deny,
    /// Requests are let in and not counted. Whoever can stop the store has no limits.
    Allow,
    /// Each process counts by itself, with this part of each quota.
    ///
    /// With as many processes as the fraction says (4 for a quarter), the quotas hold
    /// together. The counts start empty, so that each outage may let in one burst more.
    Local {
        /// What part of each quota one process may give away.
        fraction: Fraction,
    },
}

/// A part of a whole: more than 0, and 1 at most.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Fraction(f64);

impl Fraction {
    /// All of it.
    pub const WHOLE: Self = Self(1.0);

    /// So much of a whole.
    ///
    /// # Errors
    /// When it is 0, for which there is [`FailurePolicy::Deny`], negative, more than 1, or
    /// no number.
    pub fn new(fraction: f64) -> Result<Self, FractionError> {
        match fraction > 0.0 && fraction <= 1.0 {
            true => Ok(Self(fraction)),
            false => Err(FractionError(())),
        }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The bucket with this part of its quota, at least 1. What the request costs is as
    /// much, so one that costs more than the part is not let in.
    pub(super) fn of(self, bucket: Bucket<'_>) -> Bucket<'_> {
        bucket.with_quota(bucket.quota().scaled(self.0))
    }
}

/// A number that is no [`Fraction`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FractionError(());

impl fmt::Display for FractionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fraction is more than 0 and at most 1; to let nobody in, choose to deny")
    }
}

impl Error for FractionError {}
