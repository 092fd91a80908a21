//! The scripts that make the tables. One that was released is never edited; a change is a
//! new one.
//!
//! sqlx has a migrator, too. It wants the right to make tables when there is nothing to
//! make, starts one transaction a script, and lets two servers that meet at a new SQLite
//! file run into each other.

use sqlx::AssertSqlSafe;
use stockade_key_auth::{KeyStoreError, KeyStoreErrorKind};

/// The scripts of one kind of tables, and where it is noted which of them were run.
///
/// Keys and records have their own, so that a database has only what is kept in it, and a
/// role that reads keys needs no right to make tables for records.
pub(crate) struct Migrations {
    /// Makes the table of those that were run.
    pub(crate) table: &'static str,
    /// Asks how many were run.
    pub(crate) version: &'static str,
    note: &'static str,
    scripts: &'static [&'static str],
}

macro_rules! migrations {
    ($table:literal, $($script:literal),+) => {
        Migrations {
            table: concat!(
                "CREATE TABLE IF NOT EXISTS ",
                $table,
                " (version bigint PRIMARY KEY)"
            ),
            version: concat!("SELECT coalesce(max(version), 0) FROM ", $table),
            note: concat!("INSERT INTO ", $table, " (version)"),
            scripts: &[$(include_str!(concat!("../migrations/", $script))),+],
        }
    };
}

#[cfg(feature = "sqlite")]
pub(crate) const SQLITE_KEYS: Migrations =
    migrations!("stockade_migrations", "sqlite/0001_keys.sql");
#[cfg(feature = "sqlite")]
pub(crate) const SQLITE_AUDIT: Migrations =
    migrations!("stockade_audit_migrations", "sqlite/audit_0001.sql");
#[cfg(feature = "postgres")]
pub(crate) const POSTGRES_KEYS: Migrations =
    migrations!("stockade_migrations", "postgres/0001_keys.sql");
#[cfg(feature = "postgres")]
pub(crate) const POSTGRES_AUDIT: Migrations =
    migrations!("stockade_audit_migrations", "postgres/audit_0001.sql");

impl Migrations {
    /// What is to be run in a database where so many scripts were run; `None` for nothing.
    ///
    /// # Errors
    /// When more were run than there are here.
    pub(crate) fn missing(
        &self,
        version: i64,
    ) -> Result<Option<AssertSqlSafe<String>>, KeyStoreError> {
        let newer = || {
            KeyStoreError::new(
                KeyStoreErrorKind::Corrupt,
                format!(
                    "the tables were made by a newer release (version {version}); start that release"
                ),
            )
        };
        let run = usize::try_from(version).map_err(|_| newer())?;
        let missing = self.scripts.get(run..).ok_or_else(newer)?;
        let numbered = missing
            .iter()
            .zip(run + 1..)
            .map(|(script, number)| format!("{script}\n{} VALUES ({number});\n", self.note));
        // Nothing but the scripts and their numbers is in it.
        Ok((!missing.is_empty()).then(|| AssertSqlSafe(numbered.collect())))
    }
}
