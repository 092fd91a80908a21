//! `[audit]`: audit records and their destinations.

use std::{num::NonZeroU32, path::PathBuf};

use serde::Deserialize;

use super::value::{SecretUrl, nonzero};

/// `[audit]`: one record per request, in files, in a database, or both. Without this section,
/// records go to `tracing`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AuditConfig {
    /// The file for all requests: `app.log`. A missing folder is created.
    pub file: Option<PathBuf>,
    /// The file for refusals and security events: `audit.log`. Requires `file`.
    pub security_file: Option<PathBuf>,
    /// The database for all requests and security events, in the table `stockade_audit`:
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`. In addition to `file` or
    /// instead of it. `database_file` names a file with it.
    pub database: Option<SecretUrl>,
    /// The name of this process's records in the database. With `key_file`, each process needs
    /// its own name.
    #[serde(default = "AuditConfig::database_log")]
    pub database_log: String,
    /// The number of days that records are kept in the database; unlimited by default.
    pub database_keep_days: Option<NonZeroU32>,
    /// What happens when records arrive faster than they can be written: `drop`, `block` or
    /// `fail_closed`. The default is `drop`: a full disk alone must not cause an outage of the
    /// API, and each lost record is counted.
    #[serde(default)]
    pub on_overflow: OnOverflow,
    /// A file with at least 32 random bytes, the key that chains each record to the previous
    /// one: changes, removals and insertions without the key are detected.
    pub key_file: Option<PathBuf>,
    /// The key's name in the records.
    #[serde(default = "AuditConfig::key_id")]
    pub key_id: String,
    /// A file with at least 32 random bytes, the key of prompt digests: the record of a chat
    /// has a keyed digest of its prompt, to find equal prompts. Prompts are never recorded.
    pub prompt_key_file: Option<PathBuf>,
    /// The size at which a file is rotated, in MiB.
    #[serde(default = "AuditConfig::max_mb")]
    pub max_mb: NonZeroU32,
    /// The number of rotated files that are kept.
    #[serde(default = "AuditConfig::keep")]
    pub keep: u32,
}

impl AuditConfig {
    fn key_id() -> String {
        "1".to_owned()
    }

    fn database_log() -> String {
        "stockade".to_owned()
    }

    fn max_mb() -> NonZeroU32 {
        nonzero!(128)
    }

    fn keep() -> u32 {
        16
    }
}

/// What happens when records arrive faster than they can be written.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnOverflow {
    /// Requests wait, for at most one second.
    Block,
    /// Records are dropped and counted.
    #[default]
    Drop,
    /// Requests are refused with a 503.
    FailClosed,
}
