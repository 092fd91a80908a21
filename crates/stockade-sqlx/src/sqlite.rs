//! Keys in SQLite.

use std::{fs::OpenOptions, io, path::Path, str::FromStr, sync::Arc, time::Duration};

use sqlx::{
    Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};
use stockade_core::clock::Timestamp;
use stockade_key_auth::{
    KeyChange, KeyId, KeyRecord, KeyStoreError, KeyStoreErrorKind, StoreFuture,
};
use tokio::{sync::Mutex, time};
use tokio_stream::StreamExt;

use crate::{
    database::{ChangeStream, Database},
    error::{insert_error, invalid_url, unavailable},
    migrations::{Migrations, SQLITE_KEYS},
    row::{KeyRow, StoredKey},
};

/// The interval for polling the version of the file, which reads one page of shared memory.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The timeout for a lock of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const SELECT: &str = "SELECT * FROM stockade_keys";
const SELECT_ONE: &str = "SELECT * FROM stockade_keys WHERE id = $1";
const INSERT: &str = "INSERT INTO stockade_keys (id, hash, previous_hash, previous_until, \
    name, owner, scopes, models, quotas, networks, created, expires, revoked, last_used, \
    metadata) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
const UPDATE: &str = "UPDATE stockade_keys SET hash = $2, previous_hash = $3, \
    previous_until = $4, name = $5, owner = $6, scopes = $7, models = $8, quotas = $9, \
    networks = $10, created = $11, expires = $12, revoked = $13, last_used = $14, \
    metadata = $15 WHERE id = $1";
const UPDATE_LAST_USED: &str = "UPDATE stockade_keys SET last_used = $2 \
    WHERE id IN (SELECT value FROM json_each($1)) AND (last_used IS NULL OR last_used < $2)";

/// A database with a single connection: SQLite has one writer at a time, a database in memory
/// lives as long as its connection, and [`VersionPoller`] must distinguish its own commits from
/// others.
pub(crate) struct Sqlite {
    state: Arc<Mutex<State>>,
    path: String,
}

struct State {
    connection: SqliteConnection,
    /// The last known version of the data. `None` during a write, so that an aborted write,
    /// which may have been committed, counts as a change.
    last_version: Option<i64>,
}

impl Sqlite {
    pub(crate) async fn open(url: &str) -> Result<Self, KeyStoreError> {
        let path = path(url)?;
        let mut connection = connect(url).await?;
        migrate(&mut connection, &SQLITE_KEYS)
            .await
            .map_err(unavailable)??;
        Ok(Self {
            state: Arc::new(Mutex::new(State {
                connection,
                last_version: None,
            })),
            path: path.to_owned(),
        })
    }

    /// The location as a URL.
    pub(crate) fn location(&self) -> String {
        format!("sqlite:{}", self.path)
    }
}

/// Creates the file with mode 0600, unless it exists. SQLite creates its other files with the
/// same mode.
fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// The path in a URL `sqlite:PATH`.
pub(crate) fn path(url: &str) -> Result<&str, KeyStoreError> {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    if path.is_empty() || url.contains('?') {
        return Err(invalid_url(
            "expected `sqlite:PATH` or `sqlite::memory:`, without parameters",
        ));
    }
    Ok(path)
}

/// Opens or creates the file of a URL in WAL mode. SQLite does not wait for a lock when the mode
/// changes, so this retries for servers that open a new file at the same time.
pub(crate) async fn connect(url: &str) -> Result<SqliteConnection, KeyStoreError> {
    let path = path(url)?;
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|error| invalid_url(&error.to_string()))?
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .journal_mode(SqliteJournalMode::Wal);
    if path != ":memory:" {
        create(options.get_filename()).map_err(|source| {
            let message = format!("cannot create the file {path:?}");
            KeyStoreError::new(KeyStoreErrorKind::Unavailable, message).with_source(source)
        })?;
    }
    let opened = async {
        loop {
            match SqliteConnection::connect_with(&options).await {
                Err(error) if is_busy(&error) => time::sleep(Duration::from_millis(20)).await,
                done => return done,
            }
        }
    };
    match time::timeout(BUSY_TIMEOUT, opened).await {
        Ok(done) => done.map_err(unavailable),
        Err(_) => Err(KeyStoreError::new(
            KeyStoreErrorKind::Unavailable,
            "the file is locked by another process; end that process",
        )),
    }
}

/// Creates or migrates the tables.
///
/// The file is locked before the version is read, so that a second server that starts at the
/// same time waits, and then finds the tables.
pub(crate) async fn migrate(
    connection: &mut SqliteConnection,
    migrations: &Migrations,
) -> sqlx::Result<Result<(), KeyStoreError>> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql(migrations.table)
        .execute(&mut *transaction)
        .await?;
    let version = sqlx::query_scalar(migrations.version)
        .fetch_one(&mut *transaction)
        .await?;
    match migrations.missing(version) {
        Ok(None) => {}
        Ok(Some(scripts)) => {
            sqlx::raw_sql(scripts).execute(&mut *transaction).await?;
        }
        Err(newer) => return Ok(Err(newer)),
    }
    transaction.commit().await.map(Ok)
}

/// `SQLITE_BUSY` and its extended forms have 5 as their low byte.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.and_then(|code| code.parse::<u32>().ok())
        .is_some_and(|code| code & 0xff == 5)
}

impl Database for Sqlite {
    fn load(&self) -> StoreFuture<'_, Vec<StoredKey>> {
        Box::pin(async {
            let mut state = self.state.lock().await;
            let mut rows = sqlx::query(SELECT).fetch(&mut state.connection);
            let mut keys = Vec::new();
            while let Some(row) = rows.next().await {
                keys.push(StoredKey::from_row(&row.map_err(unavailable)?));
            }
            Ok(keys)
        })
    }

    fn insert(&self, record: KeyRecord) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let row = KeyRow::from_record(&record)?;
            let mut state = self.state.lock().await;
            let last_version = state.last_version.take();
            let begin = state.connection.begin_with("BEGIN IMMEDIATE");
            let mut transaction = begin.await.map_err(unavailable)?;
            row.check_unique_hashes(&mut *transaction).await?;
            row.bind(sqlx::query(INSERT))
                .execute(&mut *transaction)
                .await
                .map_err(|error| insert_error(&record.id, error))?;
            transaction.commit().await.map_err(unavailable)?;
            state.last_version = last_version;
            Ok(())
        })
    }

    fn change(&self, id: KeyId, change: KeyChange) -> StoreFuture<'_, KeyRecord> {
        Box::pin(async move {
            let mut state = self.state.lock().await;
            let last_version = state.last_version.take();
            let begin = state.connection.begin_with("BEGIN IMMEDIATE");
            let mut transaction = begin.await.map_err(unavailable)?;
            let row = sqlx::query(SELECT_ONE)
                .bind(id.as_str())
                .fetch_optional(&mut *transaction)
                .await
                .map_err(unavailable)?
                .ok_or_else(|| KeyStoreError::not_found(&id))?;
            let changed = change.apply(StoredKey::from_row(&row).record?)?;
            let row = KeyRow::from_record(&changed)?;
            row.check_unique_hashes(&mut *transaction).await?;
            row.bind(sqlx::query(UPDATE))
                .execute(&mut *transaction)
                .await
                .map_err(unavailable)?;
            transaction.commit().await.map_err(unavailable)?;
            state.last_version = last_version;
            Ok(changed)
        })
    }

    fn record_use(&self, ids: Vec<KeyId>, at: Timestamp) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let ids: Vec<_> = ids.iter().map(KeyId::as_str).collect();
            let ids = serde_json::Value::from(ids).to_string();
            let mut state = self.state.lock().await;
            sqlx::query(UPDATE_LAST_USED)
                .bind(ids)
                .bind(i64::try_from(at.as_nanos()).unwrap_or(i64::MAX))
                .execute(&mut state.connection)
                .await
                .map_err(unavailable)?;
            Ok(())
        })
    }

    fn subscribe(&self) -> StoreFuture<'_, Box<dyn ChangeStream>> {
        let state = Arc::clone(&self.state);
        Box::pin(async { Ok(Box::new(VersionPoller(state)) as Box<dyn ChangeStream>) })
    }
}

/// Detects commits of other processes by the version of the data, which a connection's own
/// commits do not change.
struct VersionPoller(Arc<Mutex<State>>);

impl ChangeStream for VersionPoller {
    fn next(&mut self) -> StoreFuture<'_, bool> {
        Box::pin(async {
            time::sleep(POLL_INTERVAL).await;
            let mut state = self.0.lock().await;
            let version: i64 = sqlx::query_scalar("PRAGMA data_version")
                .fetch_one(&mut state.connection)
                .await
                .map_err(unavailable)?;
            Ok(state.last_version.replace(version) != Some(version))
        })
    }
}
