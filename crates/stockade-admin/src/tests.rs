//! Tests of the API with its real router, database and stores.

mod audit;
mod auth;
mod bans;
mod budgets;
mod compat;
mod conformance;
mod export;
mod idempotency;
mod key_changes;
mod keys;
#[cfg(feature = "postgres-tests")]
pub(crate) mod postgres;
mod records;
mod revocations;
pub(crate) mod support;
mod usage;
