//! The error of invalid quotas.

use std::{error::Error, fmt};

/// The error of an invalid quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaError {
    kind: QuotaErrorKind,
}

/// The reason why a quota is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QuotaErrorKind {
    /// The text is not a quota.
    Text,
    /// The count is 0, which would refuse every request.
    NoCount,
    /// The burst is 0, which would refuse every request.
    NoBurst,
    /// The period is shorter than a millisecond, or not a multiple of one.
    ShortPeriod,
    /// The period is longer than [`Quota::MAX_PERIOD`](super::Quota::MAX_PERIOD).
    LongPeriod,
    /// The rate exceeds [`Quota::MAX_PER_SECOND`](super::Quota::MAX_PER_SECOND).
    Rate,
    /// The burst takes longer than [`Quota::MAX_PERIOD`](super::Quota::MAX_PERIOD) to refill.
    Fill,
    /// The count of a sliding window exceeds
    /// [`Quota::MAX_SLIDING`](super::Quota::MAX_SLIDING).
    SlidingCount,
    /// A sliding window has no separate burst.
    SlidingBurst,
}

impl QuotaErrorKind {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Text => {
                "not a quota; expected a form such as 60/minute, 5/30s burst 2 or 100 in any 60s"
            }
            Self::NoCount => "the count of a quota must be at least 1",
            Self::NoBurst => "the burst of a quota must be at least 1",
            Self::ShortPeriod => "the period of a quota must be a multiple of one millisecond",
            Self::LongPeriod => "the period of a quota must be at most 366 days",
            Self::Rate => "the rate of a quota must be at most 100,000,000 per second",
            Self::Fill => "the burst takes more than 366 days to refill; lower it",
            Self::SlidingCount => {
                "the count of a sliding window must be at most 1,048,575; use the form count/period"
            }
            Self::SlidingBurst => "a sliding window has no burst; remove it",
        }
    }
}

impl QuotaError {
    pub(super) const fn new(kind: QuotaErrorKind) -> Self {
        Self { kind }
    }

    /// The kind of the error.
    pub const fn kind(&self) -> QuotaErrorKind {
        self.kind
    }
}

impl fmt::Display for QuotaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.text())
    }
}

impl Error for QuotaError {}
