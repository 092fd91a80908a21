//! Where a log is.

use std::{fmt, io, path::PathBuf};

use clap::Args;
use stockade_sqlx::SqlAuditLog;

use crate::{CliError, keys::location::StoreLocation};

/// A log in files, or in a database.
#[derive(Args, Clone, Debug)]
pub(super) struct LocationArgs {
    /// The log: its current file, or the database with it, `sqlite:PATH` or
    /// `postgres://USER@HOST/DATABASE`
    #[arg(value_name = "LOG")]
    pub(super) log: PathBuf,
    /// The name of the log in the database (`audit.database_log` of the configuration)
    /// [default: stockade]
    #[arg(long, value_name = "NAME")]
    database_log: Option<String>,
}

/// The place of a log.
pub(super) enum LogLocation {
    Files(PathBuf),
    Database(DatabaseLog),
}

impl LocationArgs {
    pub(super) fn location(&self) -> Result<LogLocation, CliError> {
        // A URL is UTF-8.
        let text = self.log.to_str().unwrap_or_default();
        match (StoreLocation::database(text)?, &self.database_log) {
            (Some(location), name) => Ok(LogLocation::Database(DatabaseLog {
                location,
                url: text.to_owned(),
                name: name.clone().unwrap_or_else(|| "stockade".to_owned()),
            })),
            (None, None) => Ok(LogLocation::Files(self.log.clone())),
            (None, Some(_)) => Err(CliError::usage(
                "--database-log names a log in a database, but the log is a file",
            )
            .with_help("name the database, for example sqlite:audit.db, or omit --database-log")),
        }
    }
}

impl fmt::Display for LogLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(path) => path.display().fmt(f),
            Self::Database(log) => log.fmt(f),
        }
    }
}

/// A log in a database.
pub(super) struct DatabaseLog {
    location: StoreLocation,
    url: String,
    name: String,
}

impl DatabaseLog {
    pub(super) fn open(&self) -> Result<SqlAuditLog, CliError> {
        if !self.location.exists() {
            return Err(
                CliError::failed(format_args!("{} does not exist", self.location))
                    .with_help("name the database of the setting audit.database"),
            );
        }
        SqlAuditLog::open(&self.url, &self.name).map_err(|error| {
            let failed = self.failed(&error);
            match error.kind() {
                io::ErrorKind::NotFound => failed
                    .with_help("set --database-log to the name in the setting audit.database_log"),
                _ => failed,
            }
        })
    }

    pub(super) fn failed(&self, error: &io::Error) -> CliError {
        CliError::failed(format_args!("{}: {error}", self.location))
    }
}

impl fmt::Display for DatabaseLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.location.fmt(f)
    }
}
