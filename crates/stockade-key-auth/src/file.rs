//! The key store in a file.

mod complete;
mod edit;
mod entry;
mod error;
mod format;
mod read;
mod replace;
mod spans;
#[cfg(feature = "watch")]
mod watch;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use stockade_core::clock::Timestamp;
#[cfg(feature = "watch")]
use stockade_watch::SourceHealth;
use tokio::task;

pub use error::{KeyFileError, KeyFileErrorKind};
pub use format::{KeyFileFormat, to_yaml};

use crate::{
    KeyChange, KeyId, KeyRecord, KeySet, KeyStore, KeyStoreError, KeyStoreErrorKind, LiveKeys,
    StoreFuture, records::Records,
};
use read::{Contents, keep_restrictions, read};

/// A key store in a YAML, TOML (`.toml`) or JSON (`.json`) file. Cheap to clone.
///
/// A store opened with [`open`](Self::open) watches its file (feature `watch`): changes by any
/// program take effect within two seconds, as long as the store, one of its [`LiveKeys`], or a
/// guard, layer or service that uses its keys exists. While the file is invalid or unreadable,
/// the last valid keys stay active and reading is retried; see [`health`](Self::health). A store
/// opened with [`open_static`](Self::open_static) reads its file once.
///
/// ```yaml
/// keys:
///   - key_id: "team-core"
///     hash: "sha256:<the 64 hex digits that `stockade keys new` prints>"
///     owner: "admin@example.com"
///     scopes: ["chat:write", "models:read"]
///     created_at: "2025-01-01T00:00:00Z"
///     expires_at: "2026-01-01T00:00:00Z"
/// ```
///
/// `key_id` is required, and so is either `hash` or `certificate`.
/// [`KeyHash`](crate::KeyHash) lists the hash formats; `certificate` is the
/// [`SpiffeId`](crate::SpiffeId) of clients that present a
/// [`ClientCertificate`](crate::ClientCertificate), such as `spiffe://example.org/agent`. A key
/// without `scopes` has no permissions, and one without `expires_at` never expires. Optional fields
/// are `name`, `models`, `networks`, `quotas` (`requests_per_minute`, `requests_per_hour`,
/// `requests_per_day`, `tokens_per_minute`, `concurrency`, `weight`) and `metadata`; the store
/// itself writes `revoked_at`, `last_used_at`, `previous_hash` and `previous_until`. `scopes` may
/// also be a string with scopes separated by commas or spaces.
///
/// A hash of a well-known secret, such as an empty string or `changeme`, makes the file invalid.
///
/// A file is read as a whole or not at all; an invalid file leaves the active keys unchanged. So
/// does a file that was truncated, by a full disk or during a copy. Files that this store writes
/// begin with `format: 2` and end with `end: true` (in TOML `format = 2` and `[end]`), and the
/// hash or certificate is the last field of each key; without the end marker they are rejected.
/// These two lines protect handwritten files as well. Without them, the last line must end with a
/// line feed, and a reload is rejected when the last key has lost its `revoked_at`, `expires_at`,
/// `networks`, `models` or a quota.
///
/// A change edits the text in place: comments, the order of keys and fields, and unrelated lines
/// are preserved. The result is parsed again and must hold exactly the changed keys; when the
/// layout does not allow a change, it fails with [`KeyFileErrorKind::Uneditable`]. The text is
/// written to a new file with the owner, group and permissions of the old one, except those for
/// others (0600 for a file that did not exist), synced, and renamed over the old one. Concurrent
/// changes by two processes may lose one of the changes; use a database for that.
#[derive(Clone, Debug)]
pub struct FileKeyStore {
    inner: Arc<Inner>,
    /// The keys of `inner`, which keep the watch alive.
    keys: LiveKeys,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// Does not keep the watch alive: its thread refers to this.
    live: LiveKeys,
    #[cfg(feature = "watch")]
    health: SourceHealth,
    /// Serializes reads and writes of the file.
    turn: Mutex<()>,
}

impl FileKeyStore {
    /// Reads a file once; changes take effect on [`reload`](Self::reload) only. For tools. Blocks.
    ///
    /// In a server, keys that are revoked in the file would stay valid.
    ///
    /// # Errors
    /// Returns an error when the file is unreadable or invalid.
    pub fn open_static(path: impl Into<PathBuf>) -> Result<Self, KeyFileError> {
        let path = path.into();
        let set = read(&path)?.parsed.set;
        let live = LiveKeys::new(set);
        Ok(Self {
            keys: live.clone(),
            inner: Arc::new(Inner {
                #[cfg(feature = "watch")]
                health: SourceHealth::new(format!("key file {}", path.display())),
                path,
                live,
                turn: Mutex::new(()),
            }),
        })
    }

    /// As [`create_or_open`](Self::create_or_open), without watching the file.
    ///
    /// # Errors
    /// As for [`open_static`](Self::open_static), and when the file cannot be created.
    pub fn create_or_open_static(path: impl Into<PathBuf>) -> Result<Self, KeyFileError> {
        let path = path.into();
        create(&path)?;
        Self::open_static(path)
    }

    /// Reads the file again. Blocks; do not call it on an async thread.
    ///
    /// # Errors
    /// As for [`open`](Self::open); the active keys are unchanged then.
    pub fn reload(&self) -> Result<(), KeyFileError> {
        let result = self.inner.turn(|read| Ok((read.parsed.set, ())));
        #[cfg(feature = "watch")]
        self.inner.note(&result);
        result
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Adds keys atomically, with one change of the file.
    pub fn create_all(&self, records: Vec<KeyRecord>) -> StoreFuture<'_, ()> {
        self.edit(move |all| {
            for record in records {
                create_in(all, record)?;
            }
            Ok(())
        })
    }

    /// Reads, edits and writes the file on a blocking thread.
    fn edit<T>(
        &self,
        edit: impl FnOnce(&mut Records) -> Result<T, KeyStoreError> + Send + 'static,
    ) -> StoreFuture<'_, T>
    where
        T: Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let work = task::spawn_blocking(move || {
                inner.turn(|read| {
                    let old = read.parsed.records;
                    let mut records = old.clone();
                    let result = edit(&mut records)?;
                    if records == old {
                        return Ok((read.parsed.set, result));
                    }
                    let set = records.set()?;
                    let format = KeyFileFormat::of(&inner.path);
                    let text = edit::edit(format, &read.text, &old, &records)
                        .map_err(|error| KeyFileError::uneditable(&inner.path, error))?;
                    write(&inner.path, &text)?;
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
    /// Reads the file and publishes the set that `edit` returns.
    fn turn<T, E>(&self, edit: impl FnOnce(Contents) -> Result<(KeySet, T), E>) -> Result<T, E>
    where
        E: From<KeyFileError>,
    {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let read = read(&self.path)
            .and_then(|read| keep_restrictions(&self.path, &self.live.load(), read))?;
        let (set, result) = edit(read)?;
        self.live.publish(set);
        Ok(result)
    }
}

impl KeyStore for FileKeyStore {
    fn keys(&self) -> LiveKeys {
        self.keys.clone()
    }

    fn list(&self) -> StoreFuture<'_, Vec<KeyRecord>> {
        self.edit(|records| Ok(records.list()))
    }

    fn create(&self, record: KeyRecord) -> StoreFuture<'_, ()> {
        self.edit(|records| create_in(records, record))
    }

    fn change(&self, id: KeyId, change: KeyChange) -> StoreFuture<'_, KeyRecord> {
        self.edit(move |records| records.change(&id, &change))
    }

    fn record_use(&self, ids: Vec<KeyId>, at: Timestamp) -> StoreFuture<'_, ()> {
        self.edit(move |records| {
            records.record_use(&ids, at);
            Ok(())
        })
    }
}

fn create_in(records: &mut Records, record: KeyRecord) -> Result<(), KeyStoreError> {
    match record.has_known_secret() {
        true => Err(KeyStoreError::known_secret(&record.id)),
        false => Ok(records.create(record)?),
    }
}

/// Creates a file without keys if none exists.
fn create(path: &Path) -> Result<(), KeyFileError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write(path, &KeyFileFormat::of(path).write(&[]))
        }
        // Other errors are reported when the file is read.
        _ => Ok(()),
    }
}

fn write(path: &Path, text: &str) -> Result<(), KeyFileError> {
    replace::replace(path, text.as_bytes()).map_err(|source| KeyFileError::unwritable(path, source))
}

#[cfg(test)]
#[cfg(all(feature = "argon2", feature = "bcrypt", feature = "watch"))]
mod tests;
