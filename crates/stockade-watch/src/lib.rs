//! Follows files that a server reads at startup and reloads when they change: key files,
//! deny-lists, certificates, configuration, published key sets.
//!
//! ```sh
//! cargo add stockade-watch
//! ```
//!
//! # Rules
//! 1. The **last good value stays active**. A missing, unreadable or invalid file changes
//!    nothing.
//! 2. A failed reload is **retried with back-off** ([`Backoff`]) until it succeeds, even if
//!    the file does not change again: a process that is out of file descriptors must not lose
//!    a revocation.
//! 3. Changes are detected by folder notifications, and by polling once a second where those
//!    are missing: network file systems, exhausted inotify limits, replaced folders.
//! 4. The state of a source is **visible**: [`SourceHealth`] has its age, its last error and a
//!    counter of failures for metrics and readiness, and each new error is logged.
//!
//! # What to know when deploying
//! - The folder is watched instead of the file, so that a file replaced by a rename and a
//!   redirected symbolic link (as in Kubernetes) are detected.
//! - A change takes effect within one second where notifications work, within two seconds
//!   elsewhere.
//! - Each [`FileWatch`] is one thread, which sleeps between changes.
//!
//! # Example
//! ```toml
//! [dependencies]
//! stockade-watch = "0.1"
//! ```
//!
//! ```
//! use std::{
//!     fs,
//!     sync::{Arc, Mutex},
//!     thread,
//!     time::{Duration, Instant},
//! };
//!
//! use stockade_watch::{FileVersions, FileWatch, SourceHealth};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let folder = std::env::temp_dir().join(format!("stockade-watch-{}", std::process::id()));
//!     fs::create_dir_all(&folder)?;
//!     let path = folder.join("greeting.txt");
//!     fs::write(&path, "hello")?;
//!
//!     // Take the versions before the first read, so that no change in between is lost.
//!     let versions = FileVersions::of([&path]);
//!     let greeting = Arc::new(Mutex::new(fs::read_to_string(&path)?));
//!     let health = SourceHealth::new("greeting.txt");
//!     let shared = Arc::clone(&greeting);
//!     let watch = FileWatch::start(versions, health, move || {
//!         let text = fs::read_to_string(&path)?;
//!         if text.is_empty() {
//!             return Err(std::io::Error::other("the greeting is empty"));
//!         }
//!         *shared.lock().expect("nothing panics while it is held") = text;
//!         Ok(())
//!     })?;
//!
//!     let until = |what: &dyn Fn() -> bool| {
//!         let deadline = Instant::now() + Duration::from_secs(10);
//!         while !what() {
//!             assert!(Instant::now() < deadline);
//!             thread::sleep(Duration::from_millis(10));
//!         }
//!     };
//!     fs::write(folder.join("greeting.txt"), "good morning")?;
//!     until(&|| *greeting.lock().unwrap() == "good morning");
//!
//!     // An invalid value is reported and does not replace the last good one.
//!     fs::write(folder.join("greeting.txt"), "")?;
//!     until(&|| watch.health().status().is_failing());
//!     assert_eq!(*greeting.lock().unwrap(), "good morning");
//!     drop(watch);
//!     fs::remove_dir_all(&folder)?;
//!     Ok(())
//! }
//! ```
//!
//! # See also
//! - [One configuration
//!   file](https://github.com/stockade-rs/stockade/blob/main/docs/src/configuration.md) in the
//!   book.
//! - [`stockade-key-auth`](https://docs.rs/stockade-key-auth) and
//!   [`stockade-abuse`](https://docs.rs/stockade-abuse) follow their files with this crate.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod backoff;
mod file;
mod health;
mod version;

pub use backoff::Backoff;
pub use file::FileWatch;
pub use health::{SourceHealth, SourceStatus};
pub use version::FileVersions;
