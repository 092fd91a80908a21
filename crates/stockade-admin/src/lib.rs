//! Administration of Stockade: an axum router with an API for users and what they administer.
//!
//! ```sh
//! cargo add stockade-admin
//! ```
//!
//! # Rules
//! 1. Every route has an access rule, which is enforced before the body is read. A route cannot be
//!    added without one.
//! 2. Every change is a [`SecurityEvent`](stockade_audit::SecurityEvent) with its user, and what was
//!    there before and after. Responses contain neither secrets nor hashes.
//!
//! # Deployment notes
//! - One process needs no other one: the database is a SQLite file. Several processes share
//!   PostgreSQL.
//! - Serve the router on a listener of its own.
//!
//! # See also
//! - [`stockade`](https://docs.rs/stockade) is the fence that it administers.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![allow(dead_code, unused_imports, reason = "the parts that use it follow")]

mod actor;
mod admin;
mod api;
mod config;
mod database;
mod error;
mod id;
mod page;
mod permission;
mod state;
mod time;

pub use admin::{Admin, AdminBuilder, AdminStore};
pub use config::AdminConfig;
pub use error::AdminError;
pub use permission::{Permission, Permissions};
