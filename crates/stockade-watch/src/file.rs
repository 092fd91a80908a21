//! Following files.

use std::{
    fmt, io,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::{Backoff, FileVersions, SourceHealth};

/// Editors and `cp` write in steps; a file is read when it has been quiet this long.
const QUIET: Duration = Duration::from_millis(100);
/// A file that is never quiet is read all the same after this time.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// The files are looked at this often, whether or not a change was notified.
const POLL: Duration = Duration::from_secs(1);
/// The delays between attempts to read what could not be read.
const RETRY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

/// Follows the files of one source until it is dropped.
///
/// Dropping it never waits: a reload that is running ends by itself, and none follows.
pub struct FileWatch {
    health: SourceHealth,
    // The channel ends with the last sender, and the thread with the channel.
    _watcher: Option<RecommendedWatcher>,
    _sender: Sender<()>,
}

impl FileWatch {
    /// Calls `reload` whenever one of the files differs from `versions` or changes
    /// afterwards, on a thread of its own, and retries it with back-off while it fails.
    ///
    /// A success and each new error are logged and noted in `health`.
    ///
    /// # Errors
    /// When no thread can be started. Folders that cannot be watched are polled instead,
    /// and a warning says so.
    pub fn start<E>(
        versions: FileVersions,
        health: SourceHealth,
        reload: impl FnMut() -> Result<(), E> + Send + 'static,
    ) -> io::Result<Self>
    where
        E: fmt::Display,
    {
        let (sender, changes) = mpsc::channel();
        let watcher = watch(&versions, &sender).unwrap_or_else(|error| {
            tracing::warn!(
                source = health.name(),
                %error,
                "changes are not notified; the files are polled once a second instead"
            );
            None
        });
        let follower = Follower {
            taken: versions,
            retry_at: None,
            backoff: RETRY,
            health: health.clone(),
            reload,
        };
        thread::Builder::new()
            .name("stockade-watch".to_owned())
            .spawn(move || follower.run(&changes))?;
        Ok(Self {
            health,
            _watcher: watcher,
            _sender: sender,
        })
    }

    /// How the source fares.
    pub fn health(&self) -> &SourceHealth {
        &self.health
    }
}

fn watch(
    versions: &FileVersions,
    changed: &Sender<()>,
) -> notify::Result<Option<RecommendedWatcher>> {
    let changed = changed.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading a file makes events of its own. A notification that failed may have been
        // of a change.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            // The receiver is gone only when the thread has ended.
            let _ = changed.send(());
        }
    })?;
    for folder in versions.folders() {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
    }
    Ok(Some(watcher))
}

/// The thread's state.
struct Follower<F> {
    /// The versions that were read last, successfully or not.
    taken: FileVersions,
    /// When what failed is tried again.
    retry_at: Option<Instant>,
    backoff: Backoff,
    health: SourceHealth,
    reload: F,
}

impl<F, E> Follower<F>
where
    F: FnMut() -> Result<(), E>,
    E: fmt::Display,
{
    fn run(mut self, changes: &Receiver<()>) {
        while wait(changes, self.next_look()) {
            let now = self.taken.now();
            let is_due = self.retry_at.is_some_and(|at| at <= Instant::now());
            if now != self.taken {
                match quiet(changes, now) {
                    Some(versions) => self.attempt(versions),
                    None => return,
                }
            } else if is_due {
                self.attempt(now);
            } else if self.retry_at.is_none() {
                // Unchanged, so what is in force is current.
                self.health.succeeded();
            }
        }
    }

    fn next_look(&self) -> Duration {
        let retry = self
            .retry_at
            .map(|at| at.saturating_duration_since(Instant::now()));
        retry.map_or(POLL, |retry| retry.min(POLL))
    }

    fn attempt(&mut self, versions: FileVersions) {
        if versions != self.taken {
            self.backoff.reset();
        }
        self.taken = versions;
        let source = self.health.name();
        match (self.reload)() {
            Ok(()) => {
                self.retry_at = None;
                self.backoff.reset();
                self.health.succeeded();
                tracing::info!(source, "reloaded");
            }
            Err(error) => {
                let delay = self.backoff.next_delay();
                self.retry_at = Some(Instant::now() + delay);
                if self.health.failed(&error) {
                    tracing::error!(
                        source,
                        %error,
                        "not reloaded; the last good value stays in force, and the reload is \
                         retried until it succeeds"
                    );
                }
            }
        }
    }
}

/// Waits for a change or for this long; `false` when the watch was dropped.
fn wait(changes: &Receiver<()>, time: Duration) -> bool {
    !matches!(
        changes.recv_timeout(time),
        Err(RecvTimeoutError::Disconnected)
    )
}

/// Waits until the files stay as they are; `None` when the watch was dropped.
fn quiet(changes: &Receiver<()>, mut seen: FileVersions) -> Option<FileVersions> {
    let deadline = Instant::now() + LONGEST_WAIT;
    loop {
        if !pause(changes, QUIET) {
            return None;
        }
        let now = seen.now();
        if now == seen || Instant::now() >= deadline {
            return Some(now);
        }
        seen = now;
    }
}

/// Waits this long, whatever else happens in the folder; `false` when the watch was dropped.
fn pause(changes: &Receiver<()>, time: Duration) -> bool {
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

impl fmt::Debug for FileWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileWatch").field(&self.health).finish()
    }
}
