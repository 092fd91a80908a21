//! Invalid lines of a log: their number, and the positions of the first ones.

use std::{fmt, path::Path};

use serde::Serialize;

use crate::{
    escape::escape,
    output::{self, plural},
};

/// The number of positions that are kept.
const MAX_LISTED: usize = 5;

#[derive(Debug, Default, Serialize)]
pub(super) struct InvalidLines {
    pub(super) count: u64,
    /// The first positions, as `FILE:LINE`.
    pub(super) first: Vec<String>,
}

impl InvalidLines {
    pub(super) fn add(&mut self, file: &Path, position: impl fmt::Display) {
        self.count += 1;
        if self.first.len() < MAX_LISTED {
            self.first.push(format!("{}:{position}", file.display()));
        }
    }

    /// Writes a warning if there are any.
    pub(super) fn warn(&self) {
        if self.count == 0 {
            return;
        }
        let more = match self.count > MAX_LISTED as u64 {
            true => ", …",
            false => "",
        };
        output::warn(format_args!(
            "skipped {}: {}{more}",
            plural(self.count, "invalid line"),
            escape(&self.first.join(", "))
        ));
    }
}
