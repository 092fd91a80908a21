//! What every guard is tested with.
//!
//! 1. [`contract::uphold`] runs the contract of the driver over a guard: readiness kept
//!    under a concurrency limit, drop-safe at every await, bodies and errors through
//!    unchanged, `Clone + Send + Sync`.
//! 2. With the feature `key-store`, `key_store::uphold` runs the suite that every store of
//!    keys passes.
//! 3. With the feature `limit-store`, `limit_store::uphold` runs the suite that every store
//!    of limits passes.
//! 4. [`FakeClock`] is a [`Clock`](stockade_core::Clock) that stands still until it is
//!    moved.
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
//! use stockade_core::{Check, Guard, GuardLayer, Head, Never};
//! use stockade_testkit::contract;
//!
//! struct Open;
//!
//! impl Guard for Open {
//!     const NAME: &'static str = "open";
//!     type Pass = ();
//!     type Hold = ();
//!     type Wait = Never<()>;
//!
//!     fn check(&self, _head: &Head) -> Check<(), Never<()>> {
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

mod clock;
pub mod contract;
#[cfg(feature = "key-store")]
pub mod key_store;
#[cfg(feature = "limit-store")]
pub mod limit_store;
mod probe;

pub use clock::FakeClock;
pub use probe::{Probe, ProbeBody, ProbeError, Script};
