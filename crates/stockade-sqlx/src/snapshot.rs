//! Copies of SQLite databases for backups.

use std::{io, path::Path, str::FromStr, time::Duration};

use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::error::{self, invalid_url, unavailable};

/// The timeout for a lock of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

const SNAPSHOT: &str = "VACUUM INTO $1";
/// Ten faults are enough to see what is damaged.
const INTEGRITY: &str = "PRAGMA integrity_check(10)";

/// Copies the SQLite database of a URL to a file, as of one moment: also if it is written to
/// meanwhile, and including what is only in its write-ahead log yet.
///
/// The database is opened for reading only. The copy is complete in itself; it must not exist, or
/// be empty.
///
/// # Errors
/// When the database does not exist or cannot be read, or the copy cannot be written.
pub async fn snapshot_sqlite(url: &str, copy: &Path) -> io::Result<()> {
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|error| error::io(invalid_url(&error.to_string())))?
        .create_if_missing(false)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT);
    let copy = utf8(copy)?;
    let copied = async {
        let mut connection = SqliteConnection::connect_with(&options).await?;
        sqlx::query(SNAPSHOT)
            .bind(copy)
            .execute(&mut connection)
            .await?;
        connection.close().await
    };
    copied.await.map_err(|error| error::io(unavailable(error)))
}

/// Checks the integrity of a SQLite database that no process writes to (`PRAGMA
/// integrity_check`), and returns the first faults; none for a sound file.
///
/// # Errors
/// When the file cannot be read.
pub async fn sqlite_faults(file: &Path) -> io::Result<Vec<String>> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(false)
        .read_only(true)
        .immutable(true);
    let checked = async {
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let rows: Vec<String> = sqlx::query_scalar(INTEGRITY)
            .fetch_all(&mut connection)
            .await?;
        connection.close().await?;
        Ok(rows)
    };
    match checked.await {
        Ok(rows) => Ok(rows.into_iter().filter(|row| row != "ok").collect()),
        // A file that is not a database, or whose first pages are damaged.
        Err(sqlx::Error::Database(fault)) => Ok(vec![fault.message().to_owned()]),
        Err(error) => Err(error::io(unavailable(error))),
    }
}

fn utf8(path: &Path) -> io::Result<&str> {
    path.to_str()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8"))
}
