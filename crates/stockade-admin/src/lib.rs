//! Administration of Stockade: an axum router with an API for keys, budgets, bans, usage,
//! audit records and users.
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
//! # See also
//! - [`stockade`](https://docs.rs/stockade) is the fence that it administers.

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
