//! An open file that contains whole lines.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use stockade_core::clock::Timestamp;

use super::writer::write_rest;

/// How long a FIFO may stay full before a write fails. The sink polls a slow reader every
/// millisecond.
const FIFO_TIMEOUT: Duration = Duration::from_millis(100);
const FIFO_POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The open file.
pub(super) struct OpenFile {
    pub(super) file: File,
    file_id: FileId,
    /// The length of the file at the last check of the path.
    pub(super) length: u64,
    /// Bytes of the batch that were written before an error and could not be removed.
    pub(super) written: usize,
    pub(super) is_regular: bool,
    /// Whether the file ends with an incomplete line.
    pub(super) is_torn: bool,
    /// Whether a crash of the machine can lose its name. A file with records was synced before.
    pub(super) is_new: bool,
    /// The day of the last record, in days since 1970.
    pub(super) day: u64,
    /// The size at which the file is rotated.
    pub(super) rotate_at: u64,
}

impl OpenFile {
    pub(super) fn new(path: &Path, now: Timestamp, max_bytes: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600).custom_flags(libc::O_NONBLOCK);
        }
        let file = options.open(path)?;
        let metadata = file.metadata()?;
        let is_regular = metadata.is_file();
        let modified = metadata.modified().ok().filter(|_| metadata.len() > 0);
        let modified = modified.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        Ok(Self {
            file_id: file_id(&metadata),
            length: metadata.len(),
            is_torn: is_regular && metadata.len() > 0 && is_torn(path)?,
            day: modified.map_or(day(now), |since| since.as_secs() / 86_400),
            rotate_at: max_bytes,
            written: 0,
            is_regular,
            is_new: is_regular && metadata.len() == 0,
            file,
        })
    }

    /// Whether the path still refers to this file. Updates the length.
    pub(super) fn matches(&mut self, path: io::Result<Metadata>) -> bool {
        match path {
            // The inode of an open file is not reused, so no `fstat` is needed.
            Ok(found) if file_id(&found) == self.file_id => {
                self.length = found.len();
                true
            }
            Ok(_) => false,
            Err(error) => {
                self.length = self.length_now();
                error.kind() != ErrorKind::NotFound
            }
        }
    }

    fn length_now(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.file.write_all(b"\n")?;
            self.is_torn = false;
        }
        let result = match self.is_regular {
            true => write_rest(&mut self.file, bytes, &mut self.written),
            false => self.write_fifo(bytes),
        };
        if result.is_ok() {
            self.written = 0;
        } else if self.is_regular && self.written > 0 {
            let whole = self.length_now().saturating_sub(self.written as u64);
            // If that fails, too, the retry continues after the written part.
            if self.file.set_len(whole).is_ok() {
                self.written = 0;
            }
        }
        result
    }

    /// Writes to a FIFO at the speed of its reader. A FIFO buffers less than a batch, so the
    /// retry delay of a full disk would limit the throughput.
    fn write_fifo(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (mut written, mut since) = (self.written, Instant::now());
        loop {
            match write_rest(&mut self.file, bytes, &mut self.written) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.written > written {
                        (written, since) = (self.written, Instant::now());
                    } else if since.elapsed() >= FIFO_TIMEOUT {
                        return Err(error);
                    }
                    thread::sleep(FIFO_POLL_INTERVAL);
                }
                result => return result,
            }
        }
    }
}

/// The device and inode of a file.
#[cfg(unix)]
type FileId = (u64, u64);

#[cfg(unix)]
fn file_id(file: &Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt;
    (file.dev(), file.ino())
}

/// Whether it is a regular file; other platforms have no stable identifier.
#[cfg(not(unix))]
type FileId = bool;

#[cfg(not(unix))]
fn file_id(file: &Metadata) -> FileId {
    file.is_file()
}

pub(super) fn day(at: Timestamp) -> u64 {
    at.as_secs() / 86_400
}

/// Whether the last line of the file is incomplete.
fn is_torn(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}
