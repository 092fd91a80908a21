//! The scripts that make the tables. One that was released is never edited; a change is a
//! new one.
//!
//! sqlx has a migrator, too. It wants the right to make tables when there is nothing to
//! make, starts one transaction a script, and lets two servers that meet at a new SQLite
//! file run into each other.

use sqlx::AssertSqlSafe;
use stockade_key_auth::{KeyStoreError, KeyStoreErrorKind};

#[cfg(feature = "sqlite")]
pub(crate) const SQLITE: &[&str] = &[include_str!("../migrations/sqlite/0001_keys.sql")];
#[cfg(feature = "postgres")]
pub(crate) const POSTGRES: &[&str] = &[include_str!("../migrations/postgres/0001_keys.sql")];

/// Where it is noted which scripts were run.
pub(crate) const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS stockade_migrations (version bigint PRIMARY KEY)";

/// How many scripts were run.
pub(crate) const VERSION: &str = "SELECT coalesce(max(version), 0) FROM stockade_migrations";

/// What is to be run in a database where so many scripts were run; `None` for nothing.
///
/// # Errors
/// When more were run than there are here.
pub(crate) fn missing(
    scripts: &[&str],
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
    let missing = scripts.get(run..).ok_or_else(newer)?;
    let numbered = missing.iter().zip(run + 1..).map(|(script, number)| {
        format!("{script}\nINSERT INTO stockade_migrations (version) VALUES ({number});\n")
    });
    // Nothing but the scripts and their numbers is in it.
    Ok((!missing.is_empty()).then(|| AssertSqlSafe(numbered.collect())))
}
