//! Following changes of the file.

use std::{path::PathBuf, sync::Arc};

use stockade_watch::{FileVersions, FileWatch, SourceHealth};

use super::{FileKeyStore, Inner, create};
use crate::KeyFileError;

impl FileKeyStore {
    /// Reads and watches a file. Blocks: call it at startup, or on a blocking thread.
    ///
    /// The folder is watched instead of the file, so that replaced files and switched symbolic
    /// links (as in Kubernetes) are noticed. Without change notifications, the file is polled
    /// every second.
    ///
    /// # Errors
    /// Returns an error when the file is unreadable or invalid, or when no thread can be started
    /// to watch it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, KeyFileError> {
        let path = path.into();
        // Taken before the file is read, so that no change is missed.
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

    /// Creates a file without keys if none exists, then reads and watches it. Blocks.
    ///
    /// # Errors
    /// As for [`open`](Self::open), and when the file cannot be created.
    pub fn create_or_open(path: impl Into<PathBuf>) -> Result<Self, KeyFileError> {
        let path = path.into();
        create(&path)?;
        Self::open(path)
    }

    /// Returns the health of the file: its age, failures and last error. For metrics and readiness.
    pub fn health(&self) -> &SourceHealth {
        &self.inner.health
    }
}

impl Inner {
    /// Records the result of a reload; the watch records its own.
    pub(super) fn note(&self, result: &Result<(), KeyFileError>) {
        match result {
            Ok(()) => self.health.succeeded(),
            Err(error) => self.health.failed(error),
        };
    }
}
