//! Sinks: the destinations of a journal.

mod file;
mod open_file;
mod rotation;
#[cfg(all(unix, feature = "syslog"))]
mod syslog;
mod tracing;
mod writer;

use std::io::{self, BufRead};

pub use file::FileSink;
pub use rotation::{Rotation, log_files};
#[cfg(all(unix, feature = "syslog"))]
pub use syslog::SyslogSink;
pub use tracing::TracingSink;
pub use writer::WriterSink;

/// Writes the records of a journal; called on the journal's thread.
///
/// Its methods may block; the journal's [`Overflow`](crate::Overflow) decides about requests
/// in the meantime. A sink that needs an async runtime must hold a handle to it.
pub trait Sink: Send + 'static {
    /// Writes all records of the batch.
    ///
    /// # Errors
    /// Fails if not all records were written. The journal retries the same batch until it
    /// succeeds, so a sink must remember how much of it is written.
    fn write(&mut self, batch: &Batch<'_>) -> io::Result<()>;

    /// Makes the written records durable.
    ///
    /// # Errors
    /// Fails if durability cannot be confirmed.
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Reopens the destination.
    ///
    /// # Errors
    /// Fails if the destination cannot be opened; the journal keeps writing to the sink.
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Returns the stored log, from which a chain continues. The default is an empty log, for
    /// sinks that cannot read.
    ///
    /// # Errors
    /// Fails if a log exists but cannot be read.
    fn stored_log(&mut self) -> io::Result<StoredLog> {
        Ok(StoredLog::default())
    }

    /// Stores the signed head of the log, replacing the previous one.
    ///
    /// # Errors
    /// Fails if it could not be stored.
    fn store_head(&mut self, head: &str) -> io::Result<()> {
        let _ = head;
        Ok(())
    }
}

/// The log that a sink has stored.
#[derive(Default)]
pub struct StoredLog {
    /// The newest file of records.
    pub log: Option<Box<dyn BufRead>>,
    /// The text that [`Sink::store_head`] was last given.
    pub head: Option<String>,
}

impl std::fmt::Debug for StoredLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredLog")
            .field("log", &self.log.is_some())
            .field("head", &self.head)
            .finish()
    }
}

/// Records that are written together; in a chain, the last one contains the seal.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        debug_assert!(bytes.ends_with(b"\n"), "a batch is whole lines");
        Self { bytes }
    }

    /// Returns all lines, each with its line feed.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the lines, each a JSON object, without their line feeds.
    pub fn lines(&self) -> impl Iterator<Item = &'a str> {
        let lines = self
            .bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        lines.map(|line| std::str::from_utf8(line).expect("lines are made of texts"))
    }
}
