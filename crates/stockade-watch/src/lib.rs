//! Follows what a server reads at start and must read again when it changes: key files,
//! deny-lists, certificates, configuration, published key sets.
//!
//! # Rules
//! 1. The **last good value stays in force**. A file that is missing, unreadable or invalid
//!    changes nothing.
//! 2. A reload that fails is **retried with back-off** ([`Backoff`]) until it succeeds, even
//!    when the file does not change again: a process that is out of descriptors must not lose
//!    a revocation.
//! 3. A change is seen by folder notifications, and by polling once a second where those are
//!    missing: network file systems, exhausted inotify limits, replaced folders.
//! 4. How a source fares is never hidden: [`SourceHealth`] has its age, its last error and a
//!    counter of failures for metrics and readiness, and each new error is logged.
//!
//! # What to know when deploying
//! - The folder is watched and not the file, so a file that is replaced by a rename, and a
//!   symbolic link that is turned (as Kubernetes does), are seen.
//! - A change is in force within a second where notifications work, within two where they do
//!   not.
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
//!     // The versions are taken before the first reading, so that no change is lost between.
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
//!     // An invalid value is refused, visible, and replaces nothing.
//!     fs::write(folder.join("greeting.txt"), "")?;
//!     until(&|| watch.health().status().is_failing());
//!     assert_eq!(*greeting.lock().unwrap(), "good morning");
//!     drop(watch);
//!     fs::remove_dir_all(&folder)?;
//!     Ok(())
//! }
//! ```

mod backoff;
mod file;
mod health;
mod version;

pub use backoff::Backoff;
pub use file::FileWatch;
pub use health::{SourceHealth, SourceStatus};
pub use version::FileVersions;
