//! Reads a log, also while it is written and rotated.

mod files;
mod follower;
mod line_reader;

pub use files::{LogFile, open_log};
pub use follower::{LogFollower, LogPosition};
pub use line_reader::{LineReader, MAX_LINE_LEN};
