//! Taking a key file anew when it changes.

use std::{
    path::Path,
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::{FileKeyStore, KeyFileError};

/// Editors and `cp` write in steps; the file is read when it has been quiet this long.
const QUIET: Duration = Duration::from_millis(100);

/// Watches a key file for as long as it lives; made by [`FileKeyStore::watch`].
#[derive(Debug)]
pub struct KeyFileWatch {
    /// Dropped first: that ends the channel, and so the thread.
    watcher: Option<RecommendedWatcher>,
    thread: Option<thread::JoinHandle<()>>,
}

impl FileKeyStore {
    /// Reloads the file whenever it changes, until the watch is dropped.
    ///
    /// The folder is watched and not the file, so a file that is replaced, or a symbolic
    /// link that is turned (as Kubernetes does), is seen, too. A file that cannot be taken
    /// leaves the keys in force that were; it is logged as an error and counted in
    /// [`failures`](Self::failures).
    ///
    /// # Errors
    /// When the folder cannot be watched.
    pub fn watch(&self) -> Result<KeyFileWatch, KeyFileError> {
        let (sender, receiver) = mpsc::channel();
        let failed = |error| KeyFileError::unwatchable(self.path(), error);
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                // Reading the file makes events of its own.
                if !event.is_ok_and(|event| event.kind.is_access()) {
                    // The receiver is gone only when the watch is being dropped.
                    let _ = sender.send(());
                }
            })
            .map_err(failed)?;
        let folder = match self.path().parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        watcher
            .watch(folder, RecursiveMode::NonRecursive)
            .map_err(failed)?;
        let store = self.clone();
        let thread = thread::Builder::new()
            .name("key-file-watch".to_owned())
            .spawn(move || reload_on_change(&store, &receiver))
            .map_err(|error| failed(error.into()))?;
        Ok(KeyFileWatch {
            watcher: Some(watcher),
            thread: Some(thread),
        })
    }
}

fn reload_on_change(store: &FileKeyStore, changes: &Receiver<()>) {
    while changes.recv().is_ok() {
        loop {
            match changes.recv_timeout(QUIET) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        match store.reload() {
            Ok(()) => tracing::info!(
                file = %store.path().display(),
                keys = store.0.live.load().len(),
                "key file taken"
            ),
            Err(error) => tracing::error!(%error, "key file not taken; the keys that were stay"),
        }
    }
}

impl Drop for KeyFileWatch {
    fn drop(&mut self) {
        self.watcher = None;
        if let Some(thread) = self.thread.take() {
            // It holds a store and nothing else; a panic of it has been reported.
            let _ = thread.join();
        }
    }
}
