//! Taking a key file anew when it changes.

use std::{
    fs,
    path::Path,
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
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
    let mut taken = None;
    while changes.recv().is_ok() {
        // Most of what happens in the folder may be no business of this file: a log that
        // grows there must neither cost a reading nor put one off.
        let mut seen = Version::of(store.path());
        if taken.as_ref() == Some(&seen) {
            continue;
        }
        loop {
            if !still_watched(changes, QUIET) {
                return;
            }
            let now = Version::of(store.path());
            if now == seen {
                break;
            }
            seen = now;
        }
        taken = Some(seen);
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

/// Waits this long, whatever else happens in the folder; `false` when the watch is dropped.
fn still_watched(changes: &Receiver<()>, time: Duration) -> bool {
    let until = Instant::now() + time;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        // More may come than is taken, so the time alone ends this.
        match changes.recv_timeout(left) {
            Ok(()) if !left.is_zero() => {}
            Ok(()) | Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

/// Differs from one state of a file to the next, however it came about.
#[derive(PartialEq, Eq)]
struct Version {
    #[cfg(unix)]
    changed: [i64; 2],
    #[cfg(unix)]
    inode: u64,
    #[cfg(not(unix))]
    modified: Option<std::time::SystemTime>,
    length: u64,
}

impl Version {
    /// `None` where there is no file.
    fn of(path: &Path) -> Option<Self> {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            // That of the inode, which sees a change of the permissions, too.
            #[cfg(unix)]
            changed: [metadata.ctime(), metadata.ctime_nsec()],
            #[cfg(unix)]
            inode: metadata.ino(),
            #[cfg(not(unix))]
            modified: metadata.modified().ok(),
            length: metadata.len(),
        })
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
