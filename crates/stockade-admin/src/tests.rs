//! Tests of the API with its real router, database and stores.

mod auth;
mod conformance;
pub(crate) mod support;
