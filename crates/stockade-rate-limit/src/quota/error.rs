//! What can be no quota.

use std::{error::Error, fmt};

/// A quota that none can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaError {
    kind: QuotaErrorKind,
}

/// What is wrong with a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QuotaErrorKind {
    /// The text cannot be read as a quota.
    Text,
    /// The count is 0, which would let nobody in.
    NoCount,
    /// The burst is 0, which would let nobody in.
    NoBurst,
    /// The period is shorter than a millisecond, or not whole milliseconds.
    ShortPeriod,
    /// The period is longer than [`Quota::MAX_PERIOD`](super::Quota::MAX_PERIOD).
    LongPeriod,
    /// The rate is over [`Quota::MAX_PER_SECOND`](super::Quota::MAX_PER_SECOND).
    Rate,
    /// The burst takes longer than [`Quota::MAX_PERIOD`](super::Quota::MAX_PERIOD) to fill up.
    Fill,
    /// A sliding window counts to [`Quota::MAX_SLIDING`](super::Quota::MAX_SLIDING) only.
    SlidingCount,
    /// A sliding window has no burst of its own.
    SlidingBurst,
}

impl QuotaErrorKind {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Text => "a quota is written like 60/minute, 5/30s burst 2 or 100 in any 60s",
            Self::NoCount => "a quota of 0 lets nobody in; the least is 1",
            Self::NoBurst => "a burst of 0 lets nobody in; the least is 1",
            Self::ShortPeriod => "a quota's period is whole milliseconds, at least one",
            Self::LongPeriod => "a quota's period is 366 days at most",
            Self::Rate => "a quota is 100,000,000 a second at most",
            Self::Fill => "the burst takes more than 366 days to fill up; lower it",
            Self::SlidingCount => {
                "a sliding window counts to 1,048,575 at most; write the quota as count/period"
            }
            Self::SlidingBurst => "a sliding window has no burst of its own; leave it out",
        }
    }
}

impl QuotaError {
    pub(super) const fn new(kind: QuotaErrorKind) -> Self {
        Self { kind }
    }

    /// What is wrong.
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
