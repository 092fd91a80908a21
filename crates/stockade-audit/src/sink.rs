//! Where a journal's records go.

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

/// Takes a journal's records, on the journal's own thread.
///
/// It may block; the journal's [`Overflow`](crate::Overflow) says what becomes of requests
/// meanwhile. A sink that needs a runtime brings a handle of it.
pub trait Sink: Send + 'static {
    /// Takes all records of the batch.
    ///
    /// # Errors
    /// When it has not taken all of them. The same batch is offered again then, until it
    /// is taken, so a sink that has taken a part remembers how much.
    fn write(&mut self, batch: &Batch<'_>) -> io::Result<()>;

    /// Makes sure that what was taken outlives a loss of power.
    ///
    /// # Errors
    /// When that cannot be said.
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Opens anew what it writes to.
    ///
    /// # Errors
    /// When that is not possible; the journal tries to write all the same.
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// What was written before, for a chain to go on from; nothing, where a sink cannot
    /// read back.
    ///
    /// # Errors
    /// When there is something, but it cannot be read.
    fn stored_log(&mut self) -> io::Result<StoredLog> {
        Ok(StoredLog::default())
    }

    /// Keeps the signed word on how far the log reaches, in place of the one before.
    ///
    /// # Errors
    /// When it could not be kept.
    fn store_head(&mut self, head: &str) -> io::Result<()> {
        let _ = head;
        Ok(())
    }
}

/// What a sink has of earlier times.
#[derive(Default)]
pub struct StoredLog {
    /// The newest records, in whole files.
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

/// Records that belong together: in a chain, the last one seals the others.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        debug_assert!(bytes.ends_with(b"\n"), "a batch is whole lines");
        Self { bytes }
    }

    /// All lines, each with its line feed.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The lines, each an object of JSON, without their line feeds.
    pub fn lines(&self) -> impl Iterator<Item = &'a str> {
        let lines = self
            .bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        lines.map(|line| std::str::from_utf8(line).expect("lines are made of texts"))
    }
}
