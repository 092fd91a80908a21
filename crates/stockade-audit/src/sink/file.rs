//! A sink for files and FIFOs.

use std::{
    ffi::OsString,
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, ErrorKind, Read, Write},
    mem,
    path::{Path, PathBuf},
};

use stockade_core::clock::{Clock, SystemClock};
use tracing::warn;

use super::{
    open_file::{OpenFile, day},
    rotation::{log_files, rotate},
};
use crate::{Batch, Rotation, Sink, StoredLog};

/// Appends records to a file in whole batches.
///
/// - Only one process may write to a file; two processes would break the chain.
/// - [`Rotation`] renames the file. Other programs may rename, delete or truncate it, too:
///   before each batch the sink checks that the path still refers to the open file, and
///   opens a new one if it does not. Copying and then truncating the file loses the bytes
///   written in between; the record numbers show the gap.
/// - If a batch does not fit on the disk, the written part is removed, so that no line is
///   incomplete; the batch is retried until there is space.
/// - A FIFO is opened without waiting for its reader, and written as fast as it is read. A
///   FIFO that stays full for 100 milliseconds is treated as a failing sink.
/// - New files are readable by their owner only. The signed head of a chain is stored next
///   to the log as `<path>.head`.
///
/// ```
/// use stockade_audit::{FileSink, Journal, Overflow, Rotation};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("app.log");
/// let sink = FileSink::open(&path)?.rotation(Rotation::by_day().keep(30));
/// let journal = Journal::builder(sink, Overflow::DropAndCount).start()?;
/// assert!(path.is_file());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct FileSink {
    path: PathBuf,
    rotation: Option<Rotation>,
    clock: Box<dyn Clock>,
    open: Option<OpenFile>,
    /// Whether the journal syncs the file.
    syncs: bool,
}

impl FileSink {
    /// Opens or creates a file, with the default [`Rotation`].
    ///
    /// # Errors
    /// Fails if the file cannot be opened or created. A FIFO without a reader is no error.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let mut sink = Self {
            path: path.into(),
            rotation: Some(Rotation::default()),
            clock: Box::new(SystemClock::new()),
            open: None,
            syncs: false,
        };
        match sink.ensure_open() {
            Err(error) if !is_unread_fifo(&error) => Err(error),
            _ => Ok(sink),
        }
    }

    /// Sets when the file is rotated.
    pub fn rotation(mut self, rotation: Rotation) -> Self {
        self.rotation = Some(rotation);
        if let Some(open) = &mut self.open {
            open.rotate_at = rotation.max_bytes;
        }
        self
    }

    /// Disables rotation, for an external program such as `logrotate`. The size of the file is
    /// then not limited.
    pub fn external_rotation(mut self) -> Self {
        self.rotation = None;
        self
    }

    /// Sets the clock of daily rotation.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Returns the open file, after opening it if the path refers to no or another file.
    fn ensure_open(&mut self) -> io::Result<&mut OpenFile> {
        self.open
            .take_if(|open| !open.matches(fs::metadata(&self.path)));
        if self.open.is_none() {
            let max_bytes = self
                .rotation
                .map_or(u64::MAX, |rotation| rotation.max_bytes);
            self.open = Some(OpenFile::new(&self.path, self.clock.now(), max_bytes)?);
        }
        Ok(self.open.as_mut().expect("it was just opened"))
    }

    /// Rotates the file if the next `more` bytes require it, and leaves a file open.
    fn rotate(&mut self, more: usize) -> io::Result<()> {
        let (now, syncs, rotation) = (self.clock.now(), self.syncs, self.rotation);
        let open = self.ensure_open()?;
        let Some(rotation) = rotation else {
            return Ok(());
        };
        let outgrown = open.length.saturating_add(more as u64) > open.rotate_at;
        let outlived = rotation.daily && open.day != day(now);
        if !open.is_regular || open.length == 0 || !(outgrown || outlived) {
            open.day = day(now);
            return Ok(());
        }
        if syncs {
            open.file.sync_data()?;
        }
        let rotated = rotate(&self.path, now, rotation.keep);
        let open = self.ensure_open()?;
        if let Err(error) = rotated {
            // Keep writing to the old file; retry after another `max_bytes` or the next day.
            open.rotate_at = open.length.saturating_add(rotation.max_bytes);
            open.day = day(now);
            warn!(path = %self.path.display(), %error, "audit log could not be rotated");
        }
        Ok(())
    }

    fn sibling(&self, suffix: &str) -> PathBuf {
        let mut path = OsString::from(&self.path);
        path.push(suffix);
        path.into()
    }
}

impl Sink for FileSink {
    fn write(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        let is_begun = self.open.as_ref().is_some_and(|open| open.written > 0);
        if is_begun {
            self.ensure_open()?;
        } else {
            self.rotate(batch.bytes().len())?;
        }
        let open = self.open.as_mut().expect("it is ready");
        let result = open.write(batch.bytes());
        if let Err(error) = &result
            && !open.is_regular
            && error.kind() != ErrorKind::WouldBlock
        {
            // The reader of the FIFO is gone; the next one starts with a whole line.
            self.open = None;
        }
        result
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs = true;
        let Some(open) = self.open.as_mut().filter(|open| open.is_regular) else {
            return Ok(());
        };
        open.file.sync_data()?;
        if mem::take(&mut open.is_new)
            && let Err(error) = sync_folder(&self.path)
        {
            // The records are safe on most file systems.
            warn!(path = %self.path.display(), %error, "the folder of the audit log cannot be synced");
        }
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.open = None;
        self.ensure_open().map(|_| ())
    }

    fn stored_log(&mut self) -> io::Result<StoredLog> {
        let mut stored = StoredLog::default();
        match read_head(&self.sibling(".head")) {
            Ok(head) => stored.head = Some(head),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        for file in log_files(&self.path)?.iter().rev() {
            if fs::metadata(file)?.len() > 0 {
                stored.log = Some(Box::new(BufReader::new(File::open(file)?)));
                break;
            }
        }
        Ok(stored)
    }

    fn store_head(&mut self, head: &str) -> io::Result<()> {
        if !self.open.as_ref().is_some_and(|open| open.is_regular) {
            return Ok(());
        }
        let new = self.sibling(".head.new");
        // Remove the remains of a crash, or a planted link.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = create_new(&new)?;
        file.write_all(head.as_bytes())?;
        if self.syncs {
            file.sync_data()?;
        }
        fs::rename(new, self.sibling(".head"))
    }
}

/// Makes the name of a new file durable, and that of the rotated one.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    // Folders cannot be opened.
    Ok(())
}

/// Creates a file that only its owner can read. Fails if the path exists; follows no link.
fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

/// Reads the head. Rejects anything but a regular file, because reading a FIFO would block.
fn read_head(path: &Path) -> io::Result<String> {
    const MAX_BYTES: u64 = 64 * 1_024;

    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NONBLOCK);
    }
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(
            "the head of the log is not a regular file",
        ));
    }
    let mut head = String::new();
    file.take(MAX_BYTES).read_to_string(&mut head)?;
    Ok(head)
}

#[cfg(unix)]
fn is_unread_fifo(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENXIO)
}

#[cfg(not(unix))]
fn is_unread_fifo(_error: &io::Error) -> bool {
    false
}

impl fmt::Debug for FileSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSink")
            .field("path", &self.path)
            .field("rotation", &self.rotation)
            .finish_non_exhaustive()
    }
}
