//! The database: SQLite in a file, or PostgreSQL for several processes.
//!
//! All statements are written for both, so the driver is chosen at run time (`sqlx::Any`). Times
//! are milliseconds, flags are numbers, and parameters are `$1`, `$2`, ….

use std::{fs::OpenOptions, io, path::Path, time::Duration};

use sqlx::{
    Any, AnyConnection, AnyPool, AssertSqlSafe, Connection as _, Executor as _, Row as _,
    Transaction, any::AnyPoolOptions,
};
use tokio::time;

use crate::AdminError;

/// The scripts, in order. A released script is never edited; a change is a new script.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_admin.sql"),
    include_str!("../migrations/0002_records.sql"),
    include_str!("../migrations/0003_compatibility.sql"),
];

const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS stockade_admin_migrations (version BIGINT \
    PRIMARY KEY NOT NULL)";
const VERSION: &str = "SELECT coalesce(max(version), 0) FROM stockade_admin_migrations";
/// Serialises the migrations of several processes.
const LOCK: &str = "LOCK TABLE stockade_admin_migrations IN EXCLUSIVE MODE";

const SQLITE_PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
    PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON;";

/// How long a request waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_CONNECTIONS: u32 = 8;

/// A pool of connections. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pool: AnyPool,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sqlite,
    Postgres,
}

impl Database {
    /// Opens `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`, and creates or migrates the
    /// tables. A missing SQLite file is created with mode 0600.
    ///
    /// # Errors
    /// When the database cannot be opened, or belongs to a newer release. Errors do not contain
    /// the URL, which may contain a password.
    pub(crate) async fn open(url: &str) -> Result<Self, AdminError> {
        Self::open_with(url, MAX_CONNECTIONS).await
    }

    /// Opens a database with up to this many connections.
    ///
    /// # Errors
    /// The same as for [`open`](Self::open).
    pub(crate) async fn open_with(url: &str, connections: u32) -> Result<Self, AdminError> {
        sqlx::any::install_default_drivers();
        let kind = Kind::of(url)?;
        if kind == Kind::Sqlite {
            create(url).map_err(|error| {
                AdminError::new("cannot create the database of the administration")
                    .with_source(error)
            })?;
        }
        if kind == Kind::Postgres {
            // A pool does not report why it cannot connect.
            let connected = time::timeout(ACQUIRE_TIMEOUT, AnyConnection::connect(url)).await;
            let connected = connected.map_err(|_| {
                AdminError::new("the database of the administration does not respond")
            })?;
            let closed = connected.map_err(unavailable)?.close().await;
            closed.map_err(unavailable)?;
        }
        let mut options = AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT);
        if kind == Kind::Sqlite {
            options = options.after_connect(|connection, _| {
                Box::pin(async move { connection.execute(SQLITE_PRAGMAS).await.map(drop) })
            });
        }
        let pool = options.connect(url).await.map_err(unavailable)?;
        let database = Self { pool, kind };
        database.migrate().await?;
        Ok(database)
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.kind == Kind::Postgres
    }

    pub(crate) fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Starts a transaction that may write. In SQLite it has the lock at once: a transaction that
    /// reads first could not wait for it.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        let statement = match self.kind {
            Kind::Sqlite => "BEGIN IMMEDIATE",
            Kind::Postgres => "BEGIN",
        };
        self.pool.begin_with(statement).await
    }

    async fn migrate(&self) -> Result<(), AdminError> {
        let done = self.run_migrations().await.map_err(unavailable)?;
        done.then_some(()).ok_or_else(|| {
            AdminError::new(
                "the database of the administration belongs to a newer release; use that release",
            )
        })
    }

    /// Returns whether the version is known.
    async fn run_migrations(&self) -> Result<bool, sqlx::Error> {
        self.pool.execute(VERSIONS).await?;
        let mut transaction = self.begin().await?;
        if self.kind == Kind::Postgres {
            transaction.execute(LOCK).await?;
        }
        let row = sqlx::query(VERSION).fetch_one(&mut *transaction).await?;
        let version: i64 = row.try_get(0)?;
        let known = usize::try_from(version).ok();
        let Some(missing) = known.and_then(|version| MIGRATIONS.get(version..)) else {
            return Ok(false);
        };
        for (script, number) in missing.iter().zip(version + 1..) {
            // Constant scripts and a number.
            let script = format!(
                "{script}\nINSERT INTO stockade_admin_migrations (version) VALUES ({number});"
            );
            sqlx::raw_sql(AssertSqlSafe(script))
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }
}

impl Kind {
    fn of(url: &str) -> Result<Self, AdminError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Ok(Self::Sqlite),
            Some("postgres" | "postgresql") => Ok(Self::Postgres),
            _ => Err(AdminError::new(
                "admin.database: expected sqlite:PATH or postgres://USER@HOST/DATABASE",
            )),
        }
    }
}

/// Creates the file of a SQLite URL with mode 0600, unless it exists. SQLite creates its other
/// files with the same mode.
fn create(url: &str) -> io::Result<()> {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    let path = path.split('?').next().unwrap_or(path);
    if path == ":memory:" {
        return Err(io::Error::other(
            "a database in memory has one connection; use a file",
        ));
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(Path::new(path)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn unavailable(error: sqlx::Error) -> AdminError {
    AdminError::new("cannot open the database of the administration").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn migrates_once_and_refuses_newer_releases() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/admin.db", folder.path().display());
        let database = Database::open(&url).await.unwrap();
        let again = Database::open(&url).await.unwrap();
        let row = sqlx::query("SELECT count(*) FROM stockade_admin_users")
            .fetch_one(again.pool())
            .await
            .unwrap();
        assert_eq!(row.try_get::<i64, _>(0).unwrap(), 0);
        sqlx::query("INSERT INTO stockade_admin_migrations (version) VALUES ($1)")
            .bind(1_000_i64)
            .execute(database.pool())
            .await
            .unwrap();
        let error = Database::open(&url).await.unwrap_err();
        assert!(error.to_string().contains("newer release"), "{error}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn creates_a_private_file() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.db");
        let url = format!("sqlite:{}", path.display());
        let database = Database::open(&url).await.unwrap();
        let mut transaction = database.begin().await.unwrap();
        sqlx::query("INSERT INTO stockade_admin_roles VALUES ($1, $2, $3)")
            .bind("a")
            .bind("")
            .bind(1_i64)
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        for name in ["admin.db", "admin.db-wal"] {
            let mode = folder.path().join(name).metadata().unwrap().permissions();
            assert_eq!(mode.mode() & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn refuses_other_databases() {
        assert!(Kind::of("mysql://a/b").is_err());
        assert!(Kind::of("admin.db").is_err());
        assert_eq!(Kind::of("postgresql://a/b").unwrap(), Kind::Postgres);
    }
}
