//! The migrations. A released script is never edited; a change is a new script.
//!
//! The migrator of sqlx is not used: it requires the right to create tables even if nothing is
//! to be created, starts one transaction per script, and fails if two servers open a new
//! SQLite file at the same time.

use sqlx::AssertSqlSafe;
use stockade_key_auth::{KeyStoreError, KeyStoreErrorKind};

/// The scripts for a group of tables, and the table with their version.
///
/// Keys and records have separate migrations, so that a database has only the tables that it
/// needs, and a role for keys needs no right to create tables for records.
pub(crate) struct Migrations {
    /// Creates the table of versions.
    pub(crate) table: &'static str,
    /// Selects the version: the number of scripts that were run.
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
    /// The scripts to run in a database of this version; `None` if there are none.
    ///
    /// # Errors
    /// When the version is newer than this release.
    pub(crate) fn missing(
        &self,
        version: i64,
    ) -> Result<Option<AssertSqlSafe<String>>, KeyStoreError> {
        let newer = || {
            KeyStoreError::new(
                KeyStoreErrorKind::Corrupt,
                format!(
                    "the tables belong to a newer release (version {version}); use that release"
                ),
            )
        };
        let run = usize::try_from(version).map_err(|_| newer())?;
        let missing = self.scripts.get(run..).ok_or_else(newer)?;
        let numbered = missing
            .iter()
            .zip(run + 1..)
            .map(|(script, number)| format!("{script}\n{} VALUES ({number});\n", self.note));
        // The text consists of constant scripts and numbers.
        Ok((!missing.is_empty()).then(|| AssertSqlSafe(numbered.collect())))
    }
}
