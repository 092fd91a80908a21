//! LineReader that are no records: counted, and the first ones named.

use std::{fmt, path::Path};

use serde::Serialize;

use crate::output;

/// So many are named.
const MAX_LISTED: usize = 5;

#[derive(Debug, Default, Serialize)]
pub(super) struct InvalidLines {
    pub(super) count: u64,
    /// The places of the first ones.
    pub(super) first: Vec<String>,
}

impl InvalidLines {
    pub(super) fn add(&mut self, file: &Path, position: impl fmt::Display) {
        self.count += 1;
        if self.first.len() < MAX_LISTED {
            self.first.push(format!("{}:{position}", file.display()));
        }
    }

    /// Says that there are some.
    pub(super) fn warn(&self) {
        let (first, more) = (self.first.join(", "), self.count > MAX_LISTED as u64);
        match self.count {
            0 => {}
            1 => output::warn(format_args!(
                "a line is no record and was left out: {first}"
            )),
            count => output::warn(format_args!(
                "{count} lines are no records and were left out: {first}{}",
                if more { ", …" } else { "" }
            )),
        }
    }
}
