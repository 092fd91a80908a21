//! Replaces records of a database.

use std::io::{self, BufRead};

use stockade_audit::ChainKey;
use stockade_core::clock::Timestamp;
use stockade_sqlx::SqlAuditLog;

use super::{rewrite::matches, subject::Subject};
use crate::{CliError, audit::location::DatabaseLog};

/// The number of records that can be forgotten.
pub(super) fn count(log: &DatabaseLog, subject: &Subject) -> Result<u64, CliError> {
    let counted = |mut log: SqlAuditLog| -> io::Result<u64> {
        let mut count = 0;
        for line in log.reader()?.lines() {
            count += u64::from(matches(subject, line?.as_bytes()));
        }
        Ok(count)
    };
    counted(log.open()?).map_err(|error| log.failed(&error))
}

/// Replaces the records, also while a server writes to the log. Returns the number of records.
pub(super) fn forget(
    log: &DatabaseLog,
    subject: &Subject,
    key: &ChainKey,
    now: Timestamp,
) -> Result<u64, CliError> {
    let replace = |line: &str| {
        let line = line.as_bytes();
        let forgotten = matches(subject, line).then(|| key.forget(line, now))??;
        Some(String::from_utf8(forgotten).expect("it consists of parts of the line"))
    };
    let done = log.open()?.forget(replace);
    done.map_err(|error| {
        log.failed(&error)
            .with_help("repeat the command as a role with SELECT and UPDATE on stockade_audit")
    })
}
