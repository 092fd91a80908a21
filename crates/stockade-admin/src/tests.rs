//! Tests of the API with its real router, database and stores.

mod auth;
mod conformance;
mod records;
pub(crate) mod support;
