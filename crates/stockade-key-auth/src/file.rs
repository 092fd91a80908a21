//! Keys in a file.

mod complete;
mod edit;
mod entry;
mod error;
mod format;
mod read;
mod replace;
mod spans;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use stockade_core::clock::Timestamp;
use stockade_watch::{FileVersions, FileWatch, SourceHealth};
use tokio::task;

pub use error::{KeyFileError, KeyFileErrorKind};
pub use format::{KeyFileFormat, to_yaml};

use crate::{
    KeyChange, KeyId, KeyRecord, KeySet, KeyStore, KeyStoreError, KeyStoreErrorKind, LiveKeys,
    StoreFuture, records::Records,
};
use read::{Contents, keep_restrictions, read};

/// Keeps keys in a file of YAML, TOML (`.toml`) or JSON (`.json`). Cheap to clone.
///
/// The file is followed: a change to it, by any program, is in force within a second or two.
/// That lasts as long as the store, one of its [`LiveKeys`], or a guard, layer or service that
/// takes its keys. A file that cannot be taken leaves the keys in force that were, and is
/// tried again until it can be; [`health`](Self::health) shows that. A store that
/// [`open_static`](Self::open_static) opens reads its file once.
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
/// `key_id` and `hash` are needed. A key without `scopes` may do nothing, and one without
/// `expires_at` never expires. Besides there are `name`, `models`, `networks`, `quotas`
/// (`requests_per_minute`, `requests_per_hour`, `requests_per_day`, `tokens_per_minute`,
/// `concurrency`), `metadata`, and what the store notes itself: `revoked_at`,
/// `last_used_at`, `previous_hash` and `previous_until`. What a hash can be is said at
/// [`KeyHash`](crate::KeyHash). `scopes` can also be one text with commas or spaces between
/// them.
///
/// A hash of a well-known secret, such as an empty text or `changeme`, makes the file invalid.
///
/// A file is taken as a whole or not at all: a bad one leaves the keys in force that were.
/// So does a file that was cut, by a full disk or while it is copied. A file that
/// this store wrote begins with `format: 2` and ends with `end: true` (in TOML `format = 2`
/// and `[end]`), and the hash is the last field of each key; without its end it is refused.
/// Those two lines protect a file of your own as well. Without them, its last line must
/// end with a line feed, and a reload is refused where the last key has lost its
/// `revoked_at`, `expires_at`, `networks`, `models` or a quota.
///
/// A change edits the text: comments, the order of keys and fields, and all lines that the
/// change is not about stay as they are. The result is parsed again, and must hold exactly
/// the changed keys; where the layout leaves no place for a change, the change fails with
/// [`KeyFileErrorKind::Uneditable`]. The new text is written to a new file with the owner, the
/// group and the permissions of the old one, those for others left out (0600 for a file that
/// was not there), synced, and renamed over the old one. Two processes that change one file
/// at the same time may lose one of the changes; use a database for that.
#[derive(Clone, Debug)]
pub struct FileKeyStore {
    inner: Arc<Inner>,
    /// The keys of `inner`, which keep the watch alive.
    keys: LiveKeys,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// Without the watch: its thread refers to this.
    live: LiveKeys,
    health: SourceHealth,
    /// Held while the file is read or written, so that they come one after the other.
    turn: Mutex<()>,
}

impl FileKeyStore {
    /// Reads the file, and follows it from then on. Blocks: call it at start, or off the async
    /// threads.
    ///
    /// The folder is watched and not the file, so a file that is replaced, or a symbolic link
    /// that is turned (as Kubernetes does), is seen, too. Where changes are not notified, the
    /// file is polled once a second.
    ///
    /// # Errors
    /// When it cannot be read, or is not what it should be; the error says where and why. When
    /// no thread can be started to follow it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, KeyFileError> {
        let path = path.into();
        // Before the file is read, so that no change is lost in between.
        let versions = FileVersions::of([&path]);
        let store = Self::open_static(path)?;
        let inner = Arc::clone(&store.inner);
        let reload = move || inner.turn(|read| Ok::<_, KeyFileError>((read.parsed.set, ())));
        let watch = FileWatch::start(versions, store.inner.health.clone(), reload)
            .map_err(|error| KeyFileError::unwatchable(store.path(), error))?;
        Ok(Self {
            keys: store.keys.keep_alive(watch),
            inner: store.inner,
        })
    }

    /// Reads the file once: changes to it have no effect until [`reload`](Self::reload). For
    /// tools. Blocks.
    ///
    /// In front of a server it means that a key which is revoked in the file stays valid.
    ///
    /// # Errors
    /// As [`open`](Self::open), except that nothing is started.
    pub fn open_static(path: impl Into<PathBuf>) -> Result<Self, KeyFileError> {
        let path = path.into();
        let set = read(&path)?.parsed.set;
        let live = LiveKeys::new(set);
        Ok(Self {
            keys: live.clone(),
            inner: Arc::new(Inner {
                health: SourceHealth::new(format!("key file {}", path.display())),
                path,
                live,
                turn: Mutex::new(()),
            }),
        })
    }

    /// Makes a file without keys, unless there is one, reads it, and follows it. Blocks.
    ///
    /// # Errors
    /// As [`open`](Self::open), and when the file cannot be made.
    pub fn create_or_open(path: impl Into<PathBuf>) -> Result<Self, KeyFileError> {
        let path = path.into();
        create(&path)?;
        Self::open(path)
    }

    /// As [`create_or_open`](Self::create_or_open), without following the file.
    ///
    /// # Errors
    /// As [`open_static`](Self::open_static), and when the file cannot be made.
    pub fn create_or_open_static(path: impl Into<PathBuf>) -> Result<Self, KeyFileError> {
        let path = path.into();
        create(&path)?;
        Self::open_static(path)
    }

    /// Reads the file again. Blocks: call it off the async threads.
    ///
    /// # Errors
    /// As [`open`](Self::open); the keys that were in force stay in force.
    pub fn reload(&self) -> Result<(), KeyFileError> {
        let result = self.inner.turn(|read| Ok((read.parsed.set, ())));
        self.inner.note(&result);
        result
    }

    /// How the file fares: its age, its failures and the last error. For metrics and readiness.
    pub fn health(&self) -> &SourceHealth {
        &self.inner.health
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Adds keys with one change of the file: all of them, or none.
    pub fn create_all(&self, records: Vec<KeyRecord>) -> StoreFuture<'_, ()> {
        self.edit(move |all| {
            for record in records {
                create_in(all, record)?;
            }
            Ok(())
        })
    }

    /// Reads, edits and writes the file, off the async threads.
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
    /// Reads the file, and puts in force what `edit` makes of it.
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

    /// What the watch notes by itself.
    fn note(&self, result: &Result<(), KeyFileError>) {
        match result {
            Ok(()) => self.health.succeeded(),
            Err(error) => self.health.failed(error),
        };
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

/// Makes a file without keys, unless there is one.
fn create(path: &Path) -> Result<(), KeyFileError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write(path, &KeyFileFormat::of(path).write(&[]))
        }
        // Reading it says what is wrong with it.
        _ => Ok(()),
    }
}

fn write(path: &Path, text: &str) -> Result<(), KeyFileError> {
    replace::replace(path, text.as_bytes()).map_err(|source| KeyFileError::unwritable(path, source))
}

#[cfg(test)]
mod tests;
