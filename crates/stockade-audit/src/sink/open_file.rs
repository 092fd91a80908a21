//! A file that is open, and whole lines in it.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use stockade_core::clock::Timestamp;

use super::writer::write_rest;

/// How long a FIFO has no room before it counts as full. A reader that is only slower than
/// the log is waited for, a millisecond at a time.
const FIFO_TIMEOUT: Duration = Duration::from_millis(100);
const FIFO_POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The file that is open.
pub(super) struct OpenFile {
    pub(super) file: File,
    file_id: FileId,
    /// Its length when the path was last looked at.
    pub(super) length: u64,
    /// Bytes of the batch that were written before an error and could not be taken back.
    pub(super) written: usize,
    pub(super) is_regular: bool,
    /// Ends in half of a line.
    pub(super) is_torn: bool,
    /// The day of the last record, in days since 1970.
    pub(super) day: u64,
    /// The size at which it is put aside.
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
            file,
        })
    }

    /// Whether what is found at its path is this file still. Notes the length.
    pub(super) fn matches(&mut self, path: io::Result<Metadata>) -> bool {
        match path {
            // An open file keeps its number, so it need not be asked for it.
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
            // Where that fails, too, the rest is written after what is there already.
            if self.file.set_len(whole).is_ok() {
                self.written = 0;
            }
        }
        result
    }

    /// A FIFO has room for less than a batch, so how fast it is written is its reader's to
    /// say: a wait of the length that suits a full disk would be the log's speed limit.
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

/// The device and the number of a file.
#[cfg(unix)]
type FileId = (u64, u64);

#[cfg(unix)]
fn file_id(file: &Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt;
    (file.dev(), file.ino())
}

/// Whether it is a file at all: there is nothing else to know it by.
#[cfg(not(unix))]
type FileId = bool;

#[cfg(not(unix))]
fn file_id(file: &Metadata) -> FileId {
    file.is_file()
}

pub(super) fn day(at: Timestamp) -> u64 {
    at.as_secs() / 86_400
}

/// Whether the file's last line was not written to its end.
fn is_torn(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}
