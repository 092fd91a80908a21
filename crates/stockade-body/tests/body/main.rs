//! Tests of the layer through its public API.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod alone;
mod axum;
mod chat;
mod contract;
#[cfg(feature = "multipart")]
mod forms;
mod limits;
mod profiles;
mod prompts;
mod support;
mod work;
