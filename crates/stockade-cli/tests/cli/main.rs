//! The real command, on stores in temporary folders.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[cfg(unix)]
mod asking;
#[cfg(unix)]
mod auditing;
mod banning;
mod bench;
mod changing;
#[cfg(unix)]
mod checking;
mod generating;
mod listing;
mod making;
mod moving;
#[cfg(unix)]
mod remedies;
mod serving;
mod tokens;
mod verifying;
