//! Keys in PostgreSQL.

use std::{net::IpAddr, str::FromStr, time::Duration};

use sqlx::{
    Connection, PgConnection, PgPool, PgTransaction,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgSslMode},
};
use stockade_core::clock::Timestamp;
use stockade_key_auth::{
    KeyChange, KeyId, KeyRecord, KeyStoreError, KeyStoreErrorKind, StoreFuture,
};
use tokio::time;
use tokio_stream::StreamExt;

use crate::{
    database::{ChangeStream, Database},
    error::{insert_error, invalid_url, unavailable},
    migrations::{Migrations, POSTGRES_KEYS},
    notifications::Notifications,
    row::{KeyRow, StoredKey},
};

/// The timeout for connecting to a server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

macro_rules! select {
    ($which:literal) => {
        concat!(
            "SELECT id, hash, previous_hash, previous_until, name, owner, ",
            "scopes::text AS scopes, models::text AS models, quotas::text AS quotas, ",
            "networks::text AS networks, created, expires, revoked, last_used, ",
            "metadata::text AS metadata FROM stockade_keys",
            $which
        )
    };
}

const SELECT: &str = select!("");
const SELECT_ONE: &str = select!(" WHERE id = $1");
const INSERT: &str = "INSERT INTO stockade_keys (id, hash, previous_hash, previous_until, \
    name, owner, scopes, models, quotas, networks, created, expires, revoked, last_used, \
    metadata) VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8::jsonb, $9::jsonb, $10::jsonb, \
    $11, $12, $13, $14, $15::jsonb)";
const UPDATE: &str = "UPDATE stockade_keys SET hash = $2, previous_hash = $3, \
    previous_until = $4, name = $5, owner = $6, scopes = $7::jsonb, models = $8::jsonb, \
    quotas = $9::jsonb, networks = $10::jsonb, created = $11, expires = $12, revoked = $13, \
    last_used = $14, metadata = $15::jsonb WHERE id = $1";
const UPDATE_LAST_USED: &str = "UPDATE stockade_keys SET last_used = $2 \
    WHERE id = ANY($1) AND (last_used IS NULL OR last_used < $2)";

/// Serialises writes: row locks do not protect against the same hash in another new row. Reads
/// are not blocked. If another transaction holds the table longer than this, the change fails.
const LOCK: &str = "SET LOCAL lock_timeout = '5s'; \
    LOCK TABLE stockade_keys IN SHARE ROW EXCLUSIVE MODE";

/// Serialises migrations. The number is arbitrary, so that other programs do not use it.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(7233138961246187)";

pub(crate) struct Postgres {
    pool: PgPool,
    options: PgConnectOptions,
}

impl Postgres {
    pub(crate) async fn open(url: &str) -> Result<Self, KeyStoreError> {
        let options = options(url)?;
        let mut connection = connect(&options).await?;
        migrate(&mut connection, &POSTGRES_KEYS)
            .await
            .map_err(unavailable)??;
        connection.close().await.map_err(unavailable)?;
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(options.clone());
        Ok(Self { pool, options })
    }

    /// The location without user and password.
    pub(crate) fn location(&self) -> String {
        let options = &self.options;
        let host = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => options.get_host().to_owned(),
        };
        let database = options.get_database().unwrap_or_default();
        format!("postgres://{host}:{}/{database}", options.get_port())
    }

    async fn begin(&self) -> Result<PgTransaction<'static>, KeyStoreError> {
        let mut transaction = self.pool.begin().await.map_err(unavailable)?;
        sqlx::raw_sql(LOCK)
            .execute(&mut *transaction)
            .await
            .map_err(unavailable)?;
        Ok(transaction)
    }
}

/// Parses a URL. For a remote server, the `sslmode` `prefer`, which is the default, becomes
/// `verify-full`: a man in the middle can disable opportunistic TLS.
pub(crate) fn options(url: &str) -> Result<PgConnectOptions, KeyStoreError> {
    let options =
        PgConnectOptions::from_str(url).map_err(|error| invalid_url(&error.to_string()))?;
    let host = options.get_host();
    let here = options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.parse().is_ok_and(|host: IpAddr| host.is_loopback());
    Ok(match options.get_ssl_mode() {
        PgSslMode::Allow | PgSslMode::Prefer if !here => options.ssl_mode(PgSslMode::VerifyFull),
        _ => options,
    })
}

/// Connects to a server. Fails in time if it does not respond.
pub(crate) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, KeyStoreError> {
    let connected = time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await;
    connected.map_or_else(
        |_| {
            Err(KeyStoreError::new(
                KeyStoreErrorKind::Unavailable,
                format!("the database does not respond within {CONNECT_TIMEOUT:?}"),
            ))
        },
        |connected| connected.map_err(unavailable),
    )
}

/// Creates or migrates the tables. If they are up to date, the role needs no right to create
/// tables.
pub(crate) async fn migrate(
    connection: &mut PgConnection,
    migrations: &Migrations,
) -> sqlx::Result<Result<(), KeyStoreError>> {
    let version = sqlx::query_scalar(migrations.version)
        .fetch_one(&mut *connection)
        .await;
    // Most likely the table does not exist yet; any other error occurs again below.
    let version = version.unwrap_or(0);
    if !matches!(migrations.missing(version), Ok(None)) {
        let mut transaction = connection.begin().await?;
        // A second server that starts at the same time waits, and then finds the tables.
        sqlx::raw_sql(MIGRATION_LOCK)
            .execute(&mut *transaction)
            .await?;
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
        transaction.commit().await?;
    }
    Ok(Ok(()))
}

impl Database for Postgres {
    fn load(&self) -> StoreFuture<'_, Vec<StoredKey>> {
        Box::pin(async {
            let mut rows = sqlx::query(SELECT).fetch(&self.pool);
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
            let mut transaction = self.begin().await?;
            row.check_unique_hashes(&mut *transaction).await?;
            row.bind(sqlx::query(INSERT))
                .execute(&mut *transaction)
                .await
                .map_err(|error| insert_error(&record.id, error))?;
            transaction.commit().await.map_err(unavailable)
        })
    }

    fn change(&self, id: KeyId, change: KeyChange) -> StoreFuture<'_, KeyRecord> {
        Box::pin(async move {
            let mut transaction = self.begin().await?;
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
            Ok(changed)
        })
    }

    fn record_use(&self, ids: Vec<KeyId>, at: Timestamp) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let ids: Vec<_> = ids.iter().map(KeyId::as_str).collect();
            let mut transaction = self.begin().await?;
            sqlx::query(UPDATE_LAST_USED)
                .bind(ids)
                .bind(i64::try_from(at.as_nanos()).unwrap_or(i64::MAX))
                .execute(&mut *transaction)
                .await
                .map_err(unavailable)?;
            transaction.commit().await.map_err(unavailable)
        })
    }

    fn subscribe(&self) -> StoreFuture<'_, Box<dyn ChangeStream>> {
        Box::pin(async {
            // A separate pool: returning a silently lost connection may block for minutes, and
            // must not block changes.
            let pool = PgPoolOptions::new()
                .max_connections(1)
                .acquire_timeout(CONNECT_TIMEOUT)
                .idle_timeout(None)
                .max_lifetime(None)
                .connect_lazy_with(self.options.clone());
            let mut listener = PgListener::connect_with(&pool).await.map_err(unavailable)?;
            listener.eager_reconnect(false);
            listener
                .listen("stockade_keys")
                .await
                .map_err(unavailable)?;
            Ok(Box::new(Notifications(listener)) as Box<dyn ChangeStream>)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifies_tls_for_remote_servers() {
        for (url, verified) in [
            ("postgres://a:b@db.example/x", true),
            ("postgres://a:b@db.example/x?sslmode=prefer", true),
            ("postgres://a:b@10.0.0.1/x?sslmode=allow", true),
            ("postgres://a:b@db.example/x?sslmode=disable", false),
            ("postgres://a:b@localhost/x", false),
            ("postgres://a:b@127.0.0.1/x", false),
            ("postgres://a:b@localhost/x?host=/run/postgresql", false),
        ] {
            let mode = options(url).unwrap().get_ssl_mode();
            assert_eq!(matches!(mode, PgSslMode::VerifyFull), verified, "{url}");
        }
    }
}
