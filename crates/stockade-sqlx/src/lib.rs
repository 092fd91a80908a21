//! API keys and audit records in SQLite or PostgreSQL, for [`stockade_key_auth`] and
//! [`stockade_audit`].
//!
//! ```sh
//! cargo add stockade-sqlx
//! ```
//!
//! # Key store
//! 1. Requests never query the database. They use the keys in memory, so a slow or unavailable
//!    database does not affect known keys.
//! 2. A change is a serialised transaction across all processes. It is active in this process
//!    before its future resolves, even if the caller drops the future.
//! 3. A store follows its database: changes by other processes become active within a second,
//!    plus the time for reading all keys, as long as the store, or a guard, layer or service that
//!    uses its keys, exists. PostgreSQL sends notifications (`LISTEN stockade_keys`), a SQLite
//!    file is polled twice a second. After a lost connection all keys are read again; a silent
//!    connection is detected after at most 20 seconds.
//! 4. An invalid row never grants access. [`connect`](SqlKeyStore::connect) fails if there is
//!    one. Later, the previous state of that key stays active, the error is logged and counted,
//!    and all other rows are applied.
//! 5. A hash is unique across the columns `hash` and `previous_hash` of all rows.
//! 6. The database contains hashes, never keys. Errors, logs and `Debug` contain neither hashes
//!    nor the database password.
//!
//! # Audit records
//! 1. [`SqlSink`] writes each batch in one transaction. After a commit with an unknown result it
//!    checks whether the batch was written, so that no record is lost or duplicated.
//! 2. The column **`line`** contains the exact record, so that a chain can be verified as in a
//!    file. The other columns are derived from it for queries.
//! 3. All values are bound parameters. Input of a client is never part of a statement, and
//!    cannot make a record that the database rejects.
//! 4. While the database is unavailable, the journal's `Overflow` decides about requests. The
//!    first record afterwards contains the duration and the reason of the outage.
//! 5. Records older than [`keep`](SqlSinkBuilder::keep) are removed in small steps of whole
//!    batches, oldest first, so that the rest can be verified.
//!
//! # Deployment
//! - **PostgreSQL** 12 or later. Remote connections use TLS and verify the server's certificate
//!   with the built-in root certificates or `?sslrootcert=FILE`; on a trusted network, add
//!   `?sslmode=disable`. `LISTEN` requires a session: connect to the server directly, or to a
//!   pooler in session mode. `PGPASSWORD`, `PGPASSFILE` and the other standard variables apply
//!   to what the URL omits.
//! - The role needs `SELECT`, `INSERT` and `UPDATE` on `stockade_keys`, `SELECT` on
//!   `stockade_migrations`, and for a new release the right to create tables.
//! - **SQLite**: use a local disk, not a network share, and do not replace the file while a
//!   server runs: the server keeps the old one open. The file is in WAL mode, so a copy of the file
//!   alone is not a backup: use `stockade backup`, [`snapshot_sqlite`] or `sqlite3 FILE .backup`.
//! - Monitor [`StoreHealth::stale`]: while it is set, a key that another process has revoked
//!   may still be valid here.
//! - All keys are in memory (2 kB each, twice that while they are read), and all are read after
//!   a change by another process: 0.1 s for 10,000 keys, 1 s for 100,000 on one core, and half
//!   of that after a change by this process. With more keys, change many of them in one
//!   statement.
//! - Times are 64-bit nanoseconds since 1970, because a `timestamptz` stores microseconds only;
//!   times after 2262 are refused. Lists and maps are JSON. In `psql`:
//!   `SELECT id, owner, to_timestamp(expires / 1e9) FROM stockade_keys`.
//! - Keys can be edited and deleted with SQL. Write hashes as `sha256:` and lowercase hex
//!   digits; any other form of the same hash is invalid.
//!
//! - **Audit records** have separate tables and migrations: `stockade_audit` with one row per
//!   record, and `stockade_audit_logs` with one row per log and its signed head. The role needs
//!   `SELECT` and `INSERT` on both, `UPDATE` on the second, `SELECT` on
//!   `stockade_audit_migrations`, and `DELETE` on the first if old records are removed. A
//!   read-only role needs `SELECT`, and one that forgets records also `UPDATE` on the first.
//! - Old records are removed only while new ones are written.
//! - `stockade audit verify postgres://stockade@db.example/audit --database-log server-1` verifies a
//!   log with a chain, and [`SqlAuditLog`] does it in a program.
//! - The table has seven indexes, which dominate the cost of an insert. For more than a few
//!   thousand requests per second, write a file and load it later.
//!
//! # Features
//! | feature | provides |
//! |---|---|
//! | `postgres` (default) | PostgreSQL, with TLS |
//! | `sqlite` (default) | SQLite, compiled in |
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
//! A key that is valid until it is revoked:
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
//! PostgreSQL shared by several servers, with a chain of the records of the last 90 days:
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
//!     // Without the line break at the end, as `stockade audit verify` reads it.
//!     let key = std::fs::read("audit.key")?;
//!     let journal = Journal::builder(sink, Overflow::DropAndCount)
//!         .chain(ChainKey::new("2026-01", key.trim_ascii_end())?)
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
//!
//! # See also
//! - [API keys](https://github.com/stockade-rs/stockade/blob/main/docs/src/key-auth.md) in the
//!   book.
//! - [`stockade-key-auth`](https://docs.rs/stockade-key-auth) and
//!   [`stockade-audit`](https://docs.rs/stockade-audit) are the layers that use these stores.
//! - [`stockade-cli`](https://docs.rs/stockade-cli) manages the keys of a database.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(any(feature = "postgres", feature = "sqlite")))]
compile_error!("enable the feature `postgres` or `sqlite`");

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
mod snapshot;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;

pub use audit::{SqlAuditLog, SqlAuditReader, SqlSink, SqlSinkBuilder};
pub use health::StoreHealth;
#[cfg(feature = "sqlite")]
pub use snapshot::{snapshot_sqlite, sqlite_faults};
pub use store::SqlKeyStore;
