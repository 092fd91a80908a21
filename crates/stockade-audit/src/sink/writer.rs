//! A sink that is any writer, such as standard output.

use std::{
    fmt,
    io::{self, ErrorKind, Write},
};

use crate::{Batch, Sink};

/// Writes the records to a writer: [`std::io::stdout`], a socket.
pub struct WriterSink<W> {
    writer: W,
    /// Bytes of the batch that were written before the writer failed.
    written: usize,
}

impl<W> WriterSink<W>
where
    W: Write + Send + 'static,
{
    /// A sink that writes to this.
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

/// Writes what is not done yet, and notes what is done also when the writer fails.
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
