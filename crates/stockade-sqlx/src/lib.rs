//! API keys and audit records in SQLite or PostgreSQL, for [`stockade_key_auth`] and
//! [`stockade_audit`].
//!
//! # Rules of keys
//! 1. Requests never ask the database. They read the keys that were read last, so a
//!    database that is slow or down changes nothing for keys that are known.
//! 2. A change is one transaction that no other one overlaps, in any process; it is in
//!    force here before its future resolves, and also when the caller did not wait for it.
//! 3. A store follows its database: changes by others are in force here within a second, and
//!    the time that reading all keys takes. It does so as long as the store, or a guard, layer
//!    or service that takes its keys, lives. PostgreSQL notifies of changes
//!    (`LISTEN stockade_keys`), and a SQLite file is looked at twice a second. A lost
//!    connection is made again, and all keys are read then; one that went silent is found
//!    out after 20 seconds at most.
//! 4. A row that is not valid never opens anything. A store with one does not
//!    [connect](SqlKeyStore::connect); in a store that runs, what was in force of that key
//!    stays in force, it is logged and counted, and all other rows are taken.
//! 5. No hash is in two rows, be it in `hash` or in `previous_hash`.
//! 6. The database holds hashes and never keys; neither they nor the database's password
//!    are in an error, a log or a `Debug`.
//!
//! # Rules of records
//! 1. [`SqlSink`] writes a batch in one transaction: all of it or nothing. Where a commit loses
//!    its answer it looks first whether it was made, so that no record is lost or doubled.
//! 2. The **line** of a record is kept byte by byte, so that a chain is verified as in a file;
//!    the other columns are made of it, to be asked for.
//! 3. All values are bound. What a client chose is never part of a statement, and no text of a
//!    client makes a record that cannot be written.
//! 4. While the database is down the journal's `Overflow` decides what becomes of requests;
//!    the first record afterwards says how long it was down, and why.
//! 5. Records older than [`keep`](SqlSinkBuilder::keep) are removed a few batches at a time,
//!    always from the beginning and never within a batch, so that the rest can be verified.
//!
//! # Knowing before deploying
//! - **PostgreSQL** 12 or later. Beyond this machine TLS is asked for and the server's
//!   certificate verified, by the compiled-in roots or `?sslrootcert=FILE`; within a
//!   network that you trust say `?sslmode=disable`. `LISTEN` needs a session, so connect to
//!   the server itself or to a pooler in session mode. The usual variables (`PGPASSWORD`,
//!   `PGPASSFILE` …) stand in for what the URL leaves out.
//! - The role needs `SELECT`, `INSERT` and `UPDATE` on `stockade_keys`, `SELECT` on
//!   `stockade_migrations`, and for a new release the right to make tables.
//! - **SQLite**: on a local disk, never on a network share, and never replaced under a
//!   server that runs: the server keeps the old file. It is in WAL mode, so back it up with
//!   `sqlite3 FILE .backup`.
//! - Watch [`StoreHealth::stale`]: while it is set, a key that was revoked elsewhere may
//!   still pass here.
//! - All keys are in memory (2 kB each, twice that while they are read), and all of them
//!   are read after a change by others: 0.1 s for 10,000 keys, 1 s for 100,000 on one
//!   core, half of that for a change made here. For more keys than that, change them in
//!   few statements.
//! - Times are nanoseconds since 1970 in columns of 64 bits, because they have to come back
//!   exactly as they were, which a `timestamptz` of microseconds does not; a time after
//!   2262 is refused. Lists and maps are JSON. In `psql`:
//!   `SELECT id, owner, to_timestamp(expires / 1e9) FROM stockade_keys`.
//! - A key can be mended or removed by hand. Write hashes as `sha256:` and small hex
//!   digits; another way of writing the same hash is refused.
//!
//! - **Records** have tables and migrations of their own: `stockade_audit`, one row a record,
//!   and `stockade_audit_logs`, one a log, with its signed head. The role needs `SELECT` and
//!   `INSERT` on both, `UPDATE` on the second, `SELECT` on `stockade_audit_migrations`, and
//!   `DELETE` on the first where old records are removed. A role of somebody who only reads them
//!   needs `SELECT`.
//! - Old records are removed while new ones are written; where nothing is written, they stay.
//! - A log with a chain is verified as a file is:
//!   ```console
//!   $ psql -qAtX -c "SELECT line FROM stockade_audit WHERE log = 'stockade' ORDER BY position" >audit.log
//!   $ psql -qAtX -c "SELECT head FROM stockade_audit_logs WHERE log = 'stockade'" >audit.log.head
//!   $ stockade audit verify audit.log --key-file audit.key
//!   ```
//!   With SQLite, `sqlite3 audit.db "SELECT …"` does the same.
//! - One row of a record costs the database about what seven indexes cost. For more than some
//!   thousand requests a second write a file, and load it when there is time.
//!
//! # Examples
//! ```toml
//! [dependencies]
//! axum = "0.8"
//! bytes = "1"
//! http = "1"
//! http-body-util = "0.1"
//! stockade-audit = "0.1"
//! stockade-core = "0.1"
//! stockade-key-auth = "0.1"
//! stockade-sqlx = "0.1"
//! tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
//! tower = { version = "0.5", features = ["util"] }
//! ```
//!
//! A key that passes until it is revoked:
//!
//! ```
//! # #[cfg(feature = "sqlite")] mod program {
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use stockade_core::{clock::{Clock, SystemClock}, guard::Guard};
//! use stockade_key_auth::{GeneratedKey, KeyAuth, KeyChange, KeyRecord, KeyStore};
//! use stockade_sqlx::SqlKeyStore;
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let store = SqlKeyStore::connect("sqlite::memory:").await?;
//!     let key = GeneratedKey::new("sk", "team-core".parse()?)?;
//!     store.create(KeyRecord::new(key.id().clone(), key.digest())).await?;
//!
//!     let service = ServiceBuilder::new()
//!         .layer(KeyAuth::new(&store).into_layer())
//!         .service_fn(|_: Request<Full<Bytes>>| async {
//!             Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("hello"))))
//!         });
//!     let request = || {
//!         Request::builder()
//!             .header("authorization", format!("Bearer {}", key.expose()))
//!             .body(Full::default())
//!     };
//!     assert_eq!(service.clone().oneshot(request()?).await?.status(), StatusCode::OK);
//!
//!     let without = Request::new(Full::default());
//!     assert_eq!(service.clone().oneshot(without).await?.status(), StatusCode::UNAUTHORIZED);
//!
//!     let now = SystemClock::new().now();
//!     store.change(key.id().clone(), KeyChange::Revoke { at: now }).await?;
//!     assert_eq!(service.oneshot(request()?).await?.status(), StatusCode::UNAUTHORIZED);
//!     Ok(())
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! On PostgreSQL, shared by several servers, with records of the last 90 days in a chain:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use axum::{Router, routing::get};
//! use stockade_audit::{AuditLayer, AuditLog, ChainKey, Journal, Overflow};
//! use stockade_core::{client::PeerAddr, context::ContextGuard, guard::Guard};
//! use stockade_key_auth::KeyAuth;
//! use stockade_sqlx::{SqlKeyStore, SqlSink};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let store = SqlKeyStore::connect("postgres://stockade@db.example/keys").await?;
//!     let sink = SqlSink::builder("postgres://stockade@db.example/audit")
//!         .log("server-1")
//!         .keep(Duration::from_secs(90 * 24 * 60 * 60))
//!         .open()?;
//!     let journal = Journal::builder(sink, Overflow::DropAndCount)
//!         .chain(ChainKey::new("2026-01", std::fs::read("audit.key")?)?)
//!         .start()?;
//!
//!     let listener = tokio::net::UnixListener::bind("app.sock")?;
//!     let app = Router::new()
//!         .route("/v1/models", get(async || "no models"))
//!         .layer(KeyAuth::new(&store).into_layer())
//!         .layer(AuditLayer::new(AuditLog::new(journal)))
//!         .layer(ContextGuard::new().peer(|_| Some(PeerAddr::UnixSocket)).into_layer());
//!     axum::serve(listener, app).await?;
//!     Ok(())
//! }
//! ```

#[cfg(not(any(feature = "postgres", feature = "sqlite")))]
compile_error!("choose a database by the feature `postgres` or `sqlite`");

mod active_keys;
mod audit;
mod database;
mod error;
mod follow;
mod health;
mod migrations;
#[cfg(feature = "postgres")]
mod notifications;
#[cfg(feature = "postgres")]
mod postgres;
mod row;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;

pub use audit::{SqlSink, SqlSinkBuilder};
pub use health::StoreHealth;
pub use store::SqlKeyStore;
