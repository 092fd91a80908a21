//! Lines that are no records: counted, and the first ones named.

use std::{fmt, path::Path};

use serde::Serialize;

use crate::output;

/// So many are named.
const NAMED: usize = 5;

#[derive(Debug, Default, Serialize)]
pub(super) struct BadLines {
    pub(super) count: u64,
    /// The places of the first ones.
    pub(super) first: Vec<String>,
}

impl BadLines {
    pub(super) fn note(&mut self, file: &Path, place: impl fmt::Display) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(format!("{}:{place}", file.display()));
        }
    }

    /// Says that there are some.
    pub(super) fn warn(&self) {
        let (first, more) = (self.first.join(", "), self.count > NAMED as u64);
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
