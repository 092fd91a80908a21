//! Administration of Stockade: an axum router with an API and a web page for keys, budgets, bans,
//! usage, audit records and users.
//!
//! ```sh
//! cargo add stockade-admin
//! ```
//!
//! # Rules
//! 1. Every route has an access rule, which is enforced before the body is read. A route cannot be
//!    added without one.
//! 2. There is no default password. The first user is created with a one-time token
//!    ([`Admin::setup_token`]); passwords are stored as argon2id hashes.
//! 3. A session is a cookie (`__Host-`, `Secure`, `HttpOnly`, `SameSite=Strict`) whose secret the
//!    database knows as a digest only. It ends when it is idle, at its maximum age, at a logout, and
//!    when the password changes. Changes also need the CSRF token of the session and a request from
//!    the same origin.
//! 4. No user can grant permissions that they do not have. The last administrator cannot be removed.
//! 5. Failed logins are delayed by network and by user name. A user who has logged in from a network
//!    before is not delayed by failures elsewhere.
//! 6. Every change is a [`SecurityEvent`](stockade_audit::SecurityEvent) with its user, and what was
//!    there before and after. Responses contain neither secrets nor hashes; the secret of a key is
//!    in the response that creates it, and nowhere else.
//! 7. The page loads nothing from other hosts, has no inline code, and shows all texts as text.
//!
//! # Deployment notes
//! - One process needs no other one: the database is a SQLite file. Several processes share
//!   PostgreSQL; a change is active in all of them within a second.
//! - Serve the router on a listener of its own. Browsers may open it under loopback names, and under
//!   [`AdminConfig::hosts`]; other hosts are refused, which protects from DNS rebinding.
//! - On loopback without TLS, the cookie has neither `__Host-` nor `Secure`, because browsers would
//!   not send it. Other machines need TLS.
//! - Put a [`ContextLayer`](stockade_core::context::ContextLayer) around the router behind a proxy, so
//!   that logins are counted by the address of the client.
//! - Clients of Inferno, SOLLOL, Cortex and Holo are served with [`AdminConfig::compatibility`].
//! - Records are written in the background. If the database fails, they are kept within a bound and
//!   then dropped, which the log and the metrics of the journal report; requests are not delayed.
//!
//! # Examples
//! ```toml
//! [dependencies]
//! axum = "0.8"
//! http = "1"
//! stockade = { version = "0.1", features = ["sqlite"] }
//! stockade-admin = "0.1"
//! stockade-audit = "0.1"
//! tempfile = "3"
//! tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
//! tower = { version = "0.5", features = ["util"] }
//! ```
//!
//! The page is public, and the API is not:
//!
//! ```
//! use axum::body::Body;
//! use http::{Request, StatusCode};
//! use stockade_admin::{Admin, AdminConfig, AdminStore};
//! use stockade_audit::{AuditLog, Journal, Overflow, WriterSink};
//! use tower::ServiceExt;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let folder = tempfile::tempdir()?;
//!     let mut config = AdminConfig::default();
//!     let database = format!("sqlite:{}/admin.db", folder.path().display());
//!     config.database = database.as_str().into();
//!     let store = AdminStore::open(config).await?;
//!     let sink = WriterSink::new(std::io::sink());
//!     let log = AuditLog::new(Journal::builder(sink, Overflow::DropAndCount).start()?);
//!     let admin = Admin::builder(store, log).build();
//!     // For the first user; `http://localhost:8001/admin/#setup=TOKEN`.
//!     assert!(admin.setup_token().await?.is_some());
//!
//!     let get = |path| Request::get(path).header("host", "localhost:8001").body(Body::empty());
//!     let page = admin.router().oneshot(get("/admin/")?).await?;
//!     assert_eq!(page.status(), StatusCode::OK);
//!     let keys = admin.router().oneshot(get("/admin/v1/keys")?).await?;
//!     assert_eq!(keys.status(), StatusCode::UNAUTHORIZED);
//!     Ok(())
//! }
//! ```
//!
//! Together with an API and its fence, whose keys, bans, records and budgets it administers:
//!
//! ```toml
//! # stockade.toml
//! [auth]
//! keys_file = "keys.yaml"
//!
//! [[routes]]
//! path = "/v1/chat/completions"
//! methods = "POST"
//! access = "chat:write"
//! ```
//!
//! ```no_run
//! use std::net::SocketAddr;
//!
//! use axum::{Router, routing::post};
//! use stockade::{Config, Environment, Fence};
//! use stockade_admin::{Admin, AdminConfig, AdminStore};
//! use tokio::net::TcpListener;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let store = AdminStore::open(AdminConfig::default()).await?;
//!     let config = Config::read("stockade.toml", &Environment::from_process())?;
//!     let fence = Fence::builder(&config)
//!         .copy_records(store.journal()?)
//!         .after_body(store.budget_guard())
//!         .build()
//!         .await?;
//!     let mut admin =
//!         Admin::builder(store, fence.audit().clone()).keys(fence.key_store().clone());
//!     if let Some(detector) = fence.detector() {
//!         admin = admin.detector(detector.clone());
//!     }
//!     let admin = admin.build();
//!     if let Some(token) = admin.setup_token().await? {
//!         println!("http://localhost:8001/admin/#setup={token}");
//!     }
//!
//!     let app = Router::new()
//!         .route("/v1/chat/completions", post(async || "an answer"))
//!         .layer(fence.layer());
//!     // Both limit by address, so they need the address of the peer.
//!     let app = app.into_make_service_with_connect_info::<SocketAddr>();
//!     let page = admin.router().into_make_service_with_connect_info::<SocketAddr>();
//!     let listener = TcpListener::bind("127.0.0.1:8000").await?;
//!     let own_listener = TcpListener::bind("127.0.0.1:8001").await?;
//!     tokio::try_join!(
//!         axum::serve(listener, app).into_future(),
//!         axum::serve(own_listener, page).into_future(),
//!     )?;
//!     Ok(())
//! }
//! ```
//!
//! # See also
//! - [Administration](https://github.com/stockade-rs/stockade/blob/main/docs/src/admin.md) in the
//!   book.
//! - [`stockade`](https://docs.rs/stockade) is the fence that it administers.
//! - [`stockade-server`](https://docs.rs/stockade-server) serves it with `[admin]`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod actor;
mod admin;
mod api;
mod auth;
mod budget;
mod compat;
mod config;
mod control;
mod database;
mod error;
mod exchange;
mod id;
mod keys;
mod own_usage;
mod page;
mod permission;
mod records;
mod revocation;
mod state;
mod statement;
#[cfg(test)]
mod tests;
mod time;
mod web;

pub use admin::{Admin, AdminBuilder, AdminStore};
pub use budget::{BudgetGuard, BudgetReservation, BudgetUse};
pub use config::{
    AdminConfig, Compatibility, OidcConfig, OidcUrl, PriceConfig, UnknownCompatibility,
};
pub use control::{
    ConfigControl, ControlError, ControlFuture, ModelControl, ModelState, SettingView,
    UpstreamState, WarningView,
};
pub use error::AdminError;
pub use own_usage::OwnUsage;
pub use permission::{Permission, Permissions};
pub use revocation::RevokedTokens;
