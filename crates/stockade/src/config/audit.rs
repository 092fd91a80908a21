//! `[audit]`: what is recorded, and where.

use std::{num::NonZeroU32, path::PathBuf};

use serde::Deserialize;

use super::value::nonzero;

/// `[audit]`: one record a request, in files. Without it, records go to `tracing`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditConfig {
    /// All requests: `app.log`.
    pub file: PathBuf,
    /// Refusals and what happens besides requests: `audit.log`.
    pub security_file: Option<PathBuf>,
    /// What happens when records come faster than they can be written. It must be chosen:
    /// `block`, `drop` or `fail_closed`.
    pub on_overflow: OnOverflow,
    /// A file with 32 random bytes or more: each record is chained to the one before it, so
    /// that nobody without the key changes, removes or adds one unnoticed.
    pub key_file: Option<PathBuf>,
    /// The key's name in the records.
    #[serde(default = "AuditConfig::key_id")]
    pub key_id: String,
    /// The largest file, in MiB, before it is put aside.
    #[serde(default = "AuditConfig::max_mb")]
    pub max_mb: NonZeroU32,
    /// How many files that were put aside are kept.
    #[serde(default = "AuditConfig::keep")]
    pub keep: u32,
}

impl AuditConfig {
    fn key_id() -> String {
        "1".to_owned()
    }

    fn max_mb() -> NonZeroU32 {
        nonzero!(128)
    }

    fn keep() -> u32 {
        16
    }
}

/// What happens when records come faster than they can be written.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum OnOverflow {
    /// Requests wait, for a second at most.
    Block,
    /// Records are lost, and counted.
    Drop,
    /// Requests are refused with a 503.
    FailClosed,
}
