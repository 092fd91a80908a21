//! `[audit]`: what is recorded, and where.

use std::{num::NonZeroU32, path::PathBuf};

use serde::Deserialize;

use super::value::{SecretUrl, nonzero};

/// `[audit]`: one record a request, in files, in a database, or both. Without it, records go to
/// `tracing`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditConfig {
    /// All requests: `app.log`. Its folder is created where it is missing.
    pub file: Option<PathBuf>,
    /// Refusals and what happens besides requests: `audit.log`, beside a `file`.
    pub security_file: Option<PathBuf>,
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`: all requests, and what happens
    /// besides them, in the table `stockade_audit`. Beside a `file`, or in its place.
    pub database: Option<SecretUrl>,
    /// The name of this process's records in the database. With a key, each process needs its
    /// own.
    #[serde(default = "AuditConfig::database_log")]
    pub database_log: String,
    /// How many days records are kept in the database; for good without it.
    pub database_keep_days: Option<NonZeroU32>,
    /// What happens when records come faster than they can be written: `drop`, `block` or
    /// `fail_closed`. The default is `drop`: a full disk must not become an outage of the API
    /// by itself, and each lost record is counted.
    #[serde(default)]
    pub on_overflow: OnOverflow,
    /// A file with 32 random bytes or more: each record is chained to the one before it, so
    /// that nobody without the key changes, removes or adds one unnoticed.
    pub key_file: Option<PathBuf>,
    /// The key's name in the records.
    #[serde(default = "AuditConfig::key_id")]
    pub key_id: String,
    /// A file with 32 random bytes or more: each record of a chat has a digest of the prompt
    /// under that key, which tells equal prompts from others. Prompts are never recorded.
    pub prompt_key_file: Option<PathBuf>,
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

/// What happens when records come faster than they can be written.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum OnOverflow {
    /// Requests wait, for a second at most.
    Block,
    /// Records are lost, and counted.
    #[default]
    Drop,
    /// Requests are refused with a 503.
    FailClosed,
}
