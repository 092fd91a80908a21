//! Tests for guards and stores: contract probes, conformance suites and a fake clock.
//!
//! ```sh
//! cargo add --dev stockade-testkit
//! ```
//!
//! 1. [`contract::uphold`] checks that a guard keeps the contract of the driver: readiness
//!    under a concurrency limit, safe to drop at every await point, bodies and errors of the
//!    inner service unchanged, `Clone + Send + Sync`.
//! 2. With the feature `key-store`, `key_store::uphold` runs the conformance suite for key
//!    stores.
//! 3. With the feature `limit-store`, `limit_store::uphold` runs the conformance suite for
//!    limit stores.
//! 4. [`poll`] waits for state that another thread or process changes, so that tests do not sleep.
//! 5. [`port::free`] returns a port for a program that cannot take port 0.
//! 6. With the feature `scripted-upstream`, `scripted_upstream` plays a model server over HTTP,
//!    with faults.
//! 7. [`FakeClock`] is a [`Clock`](stockade_core::clock::Clock) that only moves when a test moves
//!    it.
//!
//! # Features
//! None is enabled by default.
//!
//! | feature | provides |
//! |---|---|
//! | `key-store` | `key_store::uphold`: the conformance suite of key stores |
//! | `limit-store` | `limit_store::uphold`: the conformance suite of limit stores |
//! | `scripted-upstream` | `scripted_upstream`: an HTTP server that answers from a script; Unix only |
//!
//! # Example
//! ```toml
//! [dependencies]
//! http = "1"
//! stockade-core = "0.1"
//! stockade-testkit = "0.1"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! ```
//!
//! ```
//! use http::Request;
//! use stockade_core::guard::{Check, Guard, GuardLayer, Head, NoWait};
//! use stockade_testkit::contract;
//!
//! struct Open;
//!
//! impl Guard for Open {
//!     const NAME: &'static str = "open";
//!     type Pass = ();
//!     type Hook = ();
//!     type Wait = NoWait;
//!
//!     fn check(&self, _head: &Head) -> Check<(), NoWait> {
//!         Check::Pass(())
//!     }
//!
//!     fn admit(&self, _pass: (), _head: &mut Head) {}
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() {
//!     contract::uphold(&GuardLayer::new(Open), || Request::new(())).await;
//! }
//! ```
//!
//! # See also
//! - [Writing a
//!   guard](https://github.com/stockade-rs/stockade/blob/main/docs/src/writing-a-guard.md) in the
//!   book.
//! - [`stockade-core`](https://docs.rs/stockade-core) has the traits of guards.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod clock;
pub mod contract;
#[cfg(feature = "key-store")]
pub mod key_store;
#[cfg(feature = "limit-store")]
pub mod limit_store;
pub mod poll;
pub mod port;
mod probe;
#[cfg(feature = "scripted-upstream")]
pub mod scripted_upstream;

pub use clock::FakeClock;
pub use probe::{Probe, ProbeBody, ProbeError, Script};
