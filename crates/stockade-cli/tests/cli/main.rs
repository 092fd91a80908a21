//! Tests of the `stockade` command in temporary directories.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[cfg(unix)]
mod audit_forget;
#[cfg(unix)]
mod audit_logs;
#[cfg(unix)]
mod audit_stats;
#[cfg(unix)]
mod audit_tail;
#[cfg(unix)]
mod audit_verify;
#[cfg(all(unix, feature = "backup"))]
mod backup;
mod bans;
#[cfg(unix)]
mod check;
#[cfg(unix)]
mod check_remedies;
mod generate;
mod keys_import;
mod keys_list;
mod keys_new;
mod keys_rotate;
mod keys_verify;
#[cfg(unix)]
mod prompts;
mod sandbox;
mod serve;
mod token;
