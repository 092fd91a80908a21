//! A sink that tests can inspect.

use std::{
    io,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use stockade_audit::{Batch, Sink};

/// Stores the written records. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    text: String,
    broken: bool,
    writes: usize,
}

impl Memory {
    /// Whether writes fail.
    #[allow(dead_code, reason = "not every test breaks it")]
    pub(crate) fn broken(&self, broken: bool) {
        self.0.lock().unwrap().broken = broken;
    }

    /// Returns all lines so far.
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().text.clone()
    }

    /// Returns the number of written batches.
    #[allow(dead_code, reason = "not every test counts them")]
    pub(crate) fn writes(&self) -> usize {
        self.0.lock().unwrap().writes
    }
}

impl Sink for Memory {
    fn write(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        if inner.broken {
            return Err(io::Error::other("simulated failure"));
        }
        inner
            .text
            .extend(batch.lines().flat_map(|line| [line, "\n"]));
        inner.writes += 1;
        Ok(())
    }
}

/// Returns the records of a kind.
pub(crate) fn records(memory: &Memory, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let text = memory.text();
    let records = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    records.filter(|record| wanted(record)).collect()
}
