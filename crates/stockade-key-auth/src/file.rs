//! Keys in a file.

mod entry;
mod error;
mod format;
mod replace;
mod watch;

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use stockade_core::Timestamp;
use tokio::task;

pub use error::{KeyFileError, KeyFileErrorKind};
pub use format::to_yaml;
pub use watch::KeyFileWatch;

use crate::{
    KeyChange, KeyId, KeyRecord, KeySet, KeyStore, KeyStoreError, KeyStoreErrorKind, LiveKeys,
    StoreFuture, records::Records,
};
use format::Format;

/// No key file is larger; millions of keys belong into a database.
const LARGEST: u64 = 64 << 20;

/// Keeps keys in a file of YAML, TOML (`.toml`) or JSON (`.json`). Cheap to clone.
///
/// ```yaml
/// keys:
///   - key_id: "team-core"
///     hash: "sha256:5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
///     owner: "admin@example.com"
///     scopes: ["chat:write", "models:read"]
///     created_at: "2025-01-01T00:00:00Z"
///     expires_at: "2026-01-01T00:00:00Z"
/// ```
///
/// `key_id` and `hash` are needed. A key without `scopes` may do nothing, and one without
/// `expires_at` never expires. Besides there are `name`, `models`, `networks`, `quotas`
/// (`requests_per_minute`, `requests_per_hour`, `requests_per_day`, `tokens_per_minute`,
/// `concurrency`), `metadata`, and what the store notes itself: `revoked_at`,
/// `last_used_at`, `previous_hash` and `previous_until`. What a hash can be is said at
/// [`KeyHash`](crate::KeyHash).
///
/// A file is taken as a whole or not at all: a bad one leaves the keys in force that were.
/// A change is written to a new file of mode 0600, synced, and renamed over the old one;
/// comments and the order of keys are not kept. Two processes that change one file at
/// the same time may lose one of the changes; use a database for that.
#[derive(Clone, Debug)]
pub struct FileKeyStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    live: LiveKeys,
    failures: AtomicU64,
    /// Held while the file is read or written, so that they come one after the other.
    turn: Mutex<()>,
}

impl FileKeyStore {
    /// Reads the file. Blocks: call it at start, or off the async threads.
    ///
    /// # Errors
    /// When it cannot be read, or is not what it should be; the error says where and why.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, KeyFileError> {
        let path = path.into();
        let (_, set) = read(&path)?;
        Ok(Self(Arc::new(Inner {
            path,
            live: LiveKeys::new(set),
            failures: AtomicU64::new(0),
            turn: Mutex::new(()),
        })))
    }

    /// Makes a file without keys, unless there is one, and reads it. Blocks.
    ///
    /// # Errors
    /// As [`open`](Self::open), and when the file cannot be made.
    pub fn create_or_open(path: impl Into<PathBuf>) -> Result<Self, KeyFileError> {
        let path = path.into();
        if matches!(fs::symlink_metadata(&path), Err(error) if error.kind() == io::ErrorKind::NotFound)
        {
            write(&path, &Records::default())?;
        }
        Self::open(path)
    }

    /// Reads the file again. Blocks: call it off the async threads.
    ///
    /// # Errors
    /// As [`open`](Self::open); the keys that were in force stay in force.
    pub fn reload(&self) -> Result<(), KeyFileError> {
        self.0.turn(|_, set| Ok((set, ())))
    }

    /// How many times the file could not be taken since it was opened.
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Reads, edits and writes the file, off the async threads.
    fn edit<T>(
        &self,
        edit: impl FnOnce(&mut Records) -> Result<T, KeyStoreError> + Send + 'static,
    ) -> StoreFuture<'_, T>
    where
        T: Send + 'static,
    {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let work = task::spawn_blocking(move || {
                inner.turn(|old, set| {
                    let mut records = old.clone();
                    let result = edit(&mut records)?;
                    if records == old {
                        return Ok((set, result));
                    }
                    let set = records.set()?;
                    write(&inner.path, &records)?;
                    Ok::<_, KeyStoreError>((set, result))
                })
            });
            work.await.map_err(|panic| {
                KeyStoreError::new(
                    KeyStoreErrorKind::Unavailable,
                    "the key file was not written",
                )
                .with_source(panic)
            })?
        })
    }
}

impl Inner {
    /// Reads the file, and puts in force what `edit` makes of it.
    fn turn<T, E>(
        &self,
        edit: impl FnOnce(Records, KeySet) -> Result<(KeySet, T), E>,
    ) -> Result<T, E>
    where
        E: From<KeyFileError>,
    {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (records, set) = read(&self.path).inspect_err(|_| {
            self.failures.fetch_add(1, Ordering::Relaxed);
        })?;
        let (set, result) = edit(records, set)?;
        self.live.publish(set);
        Ok(result)
    }
}

impl KeyStore for FileKeyStore {
    fn keys(&self) -> LiveKeys {
        self.0.live.clone()
    }

    fn list(&self) -> StoreFuture<'_, Vec<KeyRecord>> {
        self.edit(|records| Ok(records.list()))
    }

    fn create(&self, record: KeyRecord) -> StoreFuture<'_, ()> {
        self.edit(|records| Ok(records.create(record)?))
    }

    fn change(&self, id: KeyId, change: KeyChange) -> StoreFuture<'_, KeyRecord> {
        self.edit(move |records| records.change(&id, &change))
    }

    fn note_used(&self, ids: Vec<KeyId>, at: Timestamp) -> StoreFuture<'_, ()> {
        self.edit(move |records| {
            records.note_used(&ids, at);
            Ok(())
        })
    }
}

fn read(path: &Path) -> Result<(Records, KeySet), KeyFileError> {
    let text = read_text(path).map_err(|source| KeyFileError::unreadable(path, source))?;
    let text = String::from_utf8(text)
        .map_err(|_| KeyFileError::invalid(path, None, "it is not UTF-8"))?;
    Format::of(path)
        .parse(&text)
        .map_err(|problem| KeyFileError::invalid(path, problem.line, problem.message))
}

/// Refuses what is no plain file before it is opened: opening a FIFO waits for a writer.
fn read_text(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        let message = "it is no plain file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut text = Vec::new();
    fs::File::open(path)?
        .take(LARGEST + 1)
        .read_to_end(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is over 64 MiB",
        ));
    }
    Ok(text)
}

fn write(path: &Path, records: &Records) -> Result<(), KeyFileError> {
    let text = Format::of(path)
        .serialize(&records.list())
        .map_err(|message| KeyFileError::invalid(path, None, message))?;
    replace::replace(path, text.as_bytes()).map_err(|source| KeyFileError::unwritable(path, source))
}

#[cfg(test)]
mod tests;
