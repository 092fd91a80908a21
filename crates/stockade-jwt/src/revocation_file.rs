//! The revocation list in a file.

mod contents;
mod error;

use std::{
    fmt, fs,
    future::{Future, ready},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use stockade_core::clock::Timestamp;

pub use error::{RevocationFileError, RevocationFileErrorKind};

use crate::{RevocationError, RevocationStatus, RevocationStore};
use contents::{Contents, Revoked, line};

/// Twice the size of 100,000 tokens with long ids.
const MAX_SIZE: u64 = 16 << 20;
/// The minimum number of expired lines to compact a file, when they are the majority.
const COMPACT_THRESHOLD: usize = 1_000;

/// A revocation list in a file, with one token per line: `jti` and `exp`. Cheap to clone.
///
/// ```text
/// # jti                 exp
/// u3kF0cQm2VYtQk6r0w    1762166400  # until 2025-11-03T10:40:00Z
/// onrtro:6f2a4c1e-8b3d
/// ```
///
/// 1. A line without a time is effective until it is removed.
/// 2. A line remains effective for a day after its time, to cover leeway and clock skew. Then it
///    is dropped: from memory on the next read, from the file when most lines have expired.
/// 3. The file has at most 100,000 unexpired tokens and 16 MiB, and ids of up to 256 bytes without
///    spaces.
/// 4. An invalid line is an error on open and reload. On reload, the other lines and all previous
///    entries remain effective, so that a mistake does not lift a revocation.
/// 5. The file is not watched: call [`reload`](Self::reload) after changes. The `stockade` crate
///    and server do so within two seconds.
///
/// ```
/// use stockade_core::clock::Timestamp;
/// use stockade_jwt::{RevocationStatus, RevocationFile, RevocationStore};
///
/// # let folder = std::env::temp_dir().join(format!("stockade-jwt-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let path = folder.join("revoked.txt");
/// let now = Timestamp::from_secs(1_762_160_000);
/// RevocationFile::append(&path, "u3kF0cQm2VYtQk6r0w", None, now)?;
///
/// let revoked = RevocationFile::open(&path, now)?;
/// assert!(matches!(revoked.status("u3kF0cQm2VYtQk6r0w"), RevocationStatus::Revoked));
/// assert!(matches!(revoked.status("another"), RevocationStatus::NotRevoked));
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct RevocationFile(Arc<Inner>);

struct Inner {
    path: PathBuf,
    revoked: ArcSwap<Revoked>,
    /// Serializes replacements of the list.
    turn: Mutex<()>,
}

impl RevocationFile {
    /// Opens a file. Blocks.
    ///
    /// # Errors
    /// Returns an error when the file is missing, unreadable, or has an invalid line.
    pub fn open(path: impl Into<PathBuf>, now: Timestamp) -> Result<Self, RevocationFileError> {
        let file = Self(Arc::new(Inner {
            path: path.into(),
            revoked: ArcSwap::default(),
            turn: Mutex::new(()),
        }));
        file.reload(now)?;
        Ok(file)
    }

    /// Reads the file again. Blocks.
    ///
    /// # Errors
    /// As for [`open`](Self::open). Previous entries remain effective then, and valid lines are
    /// added.
    pub fn reload(&self, now: Timestamp) -> Result<(), RevocationFileError> {
        let Inner { path, revoked, .. } = &*self.0;
        let _turn = self.turn();
        let Contents {
            revoked: mut new,
            fault,
            ..
        } = Contents::parse(&read(path)?, now);
        let Some(fault) = fault else {
            revoked.store(Arc::new(new));
            return Ok(());
        };
        for (id, until) in revoked.load().iter() {
            new.entry(id.clone())
                .and_modify(|known| *known = (*known).max(*until))
                .or_insert(*until);
        }
        revoked.store(Arc::new(new));
        Err(RevocationFileError::invalid(path, &fault))
    }

    /// Revokes a token in this process and in the file. Blocks.
    ///
    /// # Errors
    /// As for [`append`](Self::append). A token with a valid id is revoked in this process even
    /// then.
    pub fn add(
        &self,
        token_id: &str,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), RevocationFileError> {
        if contents::is_id(token_id) {
            let _turn = self.turn();
            let mut revoked = Revoked::clone(&self.0.revoked.load());
            let until = contents::until(until);
            let known = revoked.entry(token_id.into()).or_insert(until);
            *known = (*known).max(until);
            self.0.revoked.store(Arc::new(revoked));
        }
        Self::append(&self.0.path, token_id, until, now)
    }

    /// Revokes a token in a file, which is created if missing, until its `exp` or permanently.
    /// Processes that watch the file notice the change. Blocks.
    ///
    /// # Errors
    /// Returns an error when the id is empty, longer than 256 bytes, contains spaces or starts with
    /// `#`; when the file cannot be written; or when it is full.
    pub fn append(
        path: &Path,
        token_id: &str,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), RevocationFileError> {
        if !contents::is_id(token_id) {
            return Err(RevocationFileError::id(path));
        }
        let new = line(token_id, until);
        let unwritable = |error| RevocationFileError::unwritable(path, error);
        let mut file = open_locked(path).map_err(unwritable)?;
        let text = read(path)?;
        let contents = Contents::parse(&text, now);
        if contents.is_full() {
            return Err(RevocationFileError::full(path));
        }
        if contents.over >= COMPACT_THRESHOLD && contents.over > contents.revoked.len() {
            let mut kept = contents.kept;
            kept.extend_from_slice(new.as_bytes());
            return replace(path, &file, &kept).map_err(unwritable);
        }
        // A manual edit may have left the last line without a line feed.
        let end = if text.last().is_none_or(|byte| *byte == b'\n') {
            ""
        } else {
            "\n"
        };
        file.write_all(format!("{end}{new}").as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(unwritable)?;
        match text.is_empty() {
            // It may be new.
            true => sync_folder(path).map_err(unwritable),
            false => Ok(()),
        }
    }

    /// Returns the number of revoked tokens.
    pub fn len(&self) -> usize {
        self.0.revoked.load().len()
    }

    /// Returns whether no token is revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    fn turn(&self) -> std::sync::MutexGuard<'_, ()> {
        self.0.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RevocationStore for RevocationFile {
    fn status(&self, token_id: &str) -> RevocationStatus {
        match self.0.revoked.load().contains_key(token_id) {
            true => RevocationStatus::Revoked,
            false => RevocationStatus::NotRevoked,
        }
    }

    /// Blocks during a disk write.
    fn revoke<'s>(
        &'s self,
        token_id: &'s str,
        until: Timestamp,
        now: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Result<(), RevocationError>> + Send + 's>> {
        let result = self.add(token_id, Some(until), now);
        Box::pin(ready(result.map_err(RevocationError::unavailable)))
    }
}

/// Rejects special files before opening them: opening a FIFO blocks until a writer appears.
fn read(path: &Path) -> Result<Vec<u8>, RevocationFileError> {
    let unreadable = |error| RevocationFileError::unreadable(path, error);
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::other("not a regular file")));
    }
    let mut text = Vec::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    let read = file.take(MAX_SIZE + 1).read_to_end(&mut text);
    read.map_err(unreadable)?;
    match text.len() as u64 > MAX_SIZE {
        true => Err(unreadable(io::Error::other(
            "the file is larger than 16 MiB",
        ))),
        false => Ok(text),
    }
}

/// Opens the file for appending, with an exclusive lock.
fn open_locked(path: &Path) -> io::Result<fs::File> {
    if fs::metadata(path).is_ok_and(|file| !file.is_file()) {
        return Err(io::Error::other("not a regular file"));
    }
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    loop {
        let file = options.open(path)?;
        file.lock()?;
        // The previous holder of the lock may have replaced the file.
        if is_at(&file, path)? {
            return Ok(file);
        }
    }
}

#[cfg(unix)]
fn is_at(file: &fs::File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let (open, named) = (file.metadata()?, fs::metadata(path));
    Ok(named.is_ok_and(|named| (named.dev(), named.ino()) == (open.dev(), open.ino())))
}

#[cfg(not(unix))]
fn is_at(_: &fs::File, _: &Path) -> io::Result<bool> {
    // Open files cannot be replaced.
    Ok(true)
}

/// Writes a new file and renames it over the old one.
fn replace(path: &Path, old: &fs::File, text: &[u8]) -> io::Result<()> {
    // Resolves links, so that they are preserved.
    let path = fs::canonicalize(path)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    // The remains of a crash, or a planted link. The lock excludes other processes.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&new)?;
    let written = file
        .set_permissions(old.metadata()?.permissions())
        .and_then(|()| file.write_all(text))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&new, &path));
    if written.is_err() {
        // The original error matters more than a failure to clean up.
        let _ = fs::remove_file(&new);
    }
    written?;
    sync_folder(&path)
}

/// Makes the name of a new or renamed file durable.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    // Folders cannot be opened.
    Ok(())
}

impl fmt::Debug for RevocationFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationFile")
            .field("path", &self.0.path)
            .field("len", &self.len())
            .finish()
    }
}

#[cfg(test)]
mod tests;
