//! Images as clients send them: valid, broken, huge, hostile.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[cfg(feature = "decode")]
mod decoding;
mod dimensions;
mod files;
mod handed_on;
mod hostile;
mod limits;
mod made;
mod urls;
