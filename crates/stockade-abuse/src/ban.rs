//! Bans, and changes of bans.

use std::sync::Arc;

use stockade_core::clock::Timestamp;

use crate::{Offender, SkippedLines};

/// A ban of an offender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// The banned network or principal.
    pub offender: Offender,
    /// The start of the ban.
    pub since: Timestamp,
    /// The end of the ban; `None` for a permanent ban.
    pub until: Option<Timestamp>,
    /// A short reason for operators, such as `5 errors in 30s`. It contains no text from a
    /// client.
    pub reason: Arc<str>,
}

impl Ban {
    /// Whether the ban has not ended.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// A change of the bans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BanChange {
    /// A ban was added or extended.
    Banned(Ban),
    /// A ban was lifted.
    Unbanned(Offender),
}

/// A notification from a [`BanStore`](crate::BanStore).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BanUpdate {
    /// A single ban was changed elsewhere.
    Change(BanChange),
    /// The complete contents of the store; bans that are not in it are lifted.
    All {
        /// The bans in the store.
        bans: Vec<Ban>,
        /// The entries that could not be parsed.
        skipped: SkippedLines,
        /// The start of the reading; a later ban may not be written to the store yet.
        read_at: Timestamp,
    },
    /// The file does not exist; existing bans stay.
    Missing {
        /// The path of the file.
        file: Arc<str>,
    },
    /// The store cannot be read or written; existing bans stay.
    Failed {
        /// The error message.
        error: Arc<str>,
    },
}
