//! A ban, and what becomes known of bans.

use std::sync::Arc;

use stockade_core::clock::Timestamp;

use crate::{Offender, SkippedLines};

/// Who is kept out, since when, until when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Who.
    pub offender: Offender,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None` for good.
    pub until: Option<Timestamp>,
    /// Why, in a few words for people: `5 errors in 30s`. Holds nothing that a client sent.
    pub reason: Arc<str>,
}

impl Ban {
    /// Whether it is in force.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// One change of who is banned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BanChange {
    /// Somebody was banned, or is banned longer.
    Banned(Ban),
    /// Somebody is banned no more.
    Unbanned(Offender),
}

/// What a [`BanStore`](crate::BanStore) has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BanUpdate {
    /// Something was changed elsewhere.
    Change(BanChange),
    /// All that is in the store, after it was read anew; what is not there is banned no
    /// more.
    All {
        /// The bans.
        bans: Vec<Ban>,
        /// The entries that were skipped, because they cannot be read.
        skipped: SkippedLines,
        /// When reading began: a ban that is younger may be on its way to the store.
        read_at: Timestamp,
    },
    /// There is no such file; what is banned stays so.
    Missing {
        /// The file.
        file: Arc<str>,
    },
    /// The store cannot be read or written now; what is banned stays so.
    Failed {
        /// What went wrong.
        error: Arc<str>,
    },
}
