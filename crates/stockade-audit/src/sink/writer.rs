//! A sink for any writer, such as standard output.

use std::{
    fmt,
    io::{self, ErrorKind, Write},
};

use crate::{Batch, Sink};

/// Writes records to a writer, such as [`std::io::stdout`] or a socket.
///
/// ```
/// use stockade_audit::{Journal, Overflow, WriterSink};
///
/// let journal = Journal::builder(WriterSink::new(std::io::stderr()), Overflow::DropAndCount);
/// let journal = journal.start()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct WriterSink<W> {
    writer: W,
    /// Bytes of the batch that were written before an error.
    written: usize,
}

impl<W> WriterSink<W>
where
    W: Write + Send + 'static,
{
    /// Creates a sink that writes to `writer`.
    pub fn new(writer: W) -> Self {
        Self { writer, written: 0 }
    }
}

impl<W> Sink for WriterSink<W>
where
    W: Write + Send + 'static,
{
    fn write(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        write_rest(&mut self.writer, batch.bytes(), &mut self.written)?;
        self.writer.flush()?;
        self.written = 0;
        Ok(())
    }
}

/// Writes the remaining bytes, and updates `written` even if the writer fails.
pub(super) fn write_rest(
    writer: &mut impl Write,
    bytes: &[u8],
    written: &mut usize,
) -> io::Result<()> {
    while *written < bytes.len() {
        match writer.write(&bytes[*written..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => *written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl<W> fmt::Debug for WriterSink<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WriterSink")
    }
}
