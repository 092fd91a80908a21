//! Watching the files of a source.

use std::{
    fmt, io,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::{Backoff, FileVersions, SourceHealth};

/// Editors and `cp` write in steps; a file is read after this time without a change.
const QUIET: Duration = Duration::from_millis(100);
/// A file that keeps changing is read after this time.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// The polling interval; it applies even where notifications work.
const POLL: Duration = Duration::from_secs(1);
/// The delays between attempts after a failed reload.
const RETRY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

/// Follows the files of one source until it is dropped.
///
/// Dropping it does not block: a running reload completes, and no other one starts.
///
/// ```
/// use stockade_watch::{FileVersions, FileWatch, SourceHealth};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("greeting.txt");
/// # std::fs::write(&path, "hello")?;
/// let versions = FileVersions::of([&path]);
/// let watch = FileWatch::start(versions, SourceHealth::new("greeting"), move || {
///     // Called after each change, and again until it succeeds.
///     std::fs::read_to_string(&path).map(drop)
/// })?;
/// assert!(!watch.health().status().is_failing());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct FileWatch {
    health: SourceHealth,
    // The thread ends when the channel closes, which is when the last sender is dropped.
    _watcher: Option<RecommendedWatcher>,
    _sender: Sender<()>,
}

impl FileWatch {
    /// Starts a thread that calls `reload` when one of the files differs from `versions` or
    /// changes later, and that retries with back-off while `reload` fails.
    ///
    /// A success and each new error are logged and recorded in `health`.
    ///
    /// # Errors
    /// Returns an error if the thread cannot be started. Folders that cannot be watched are
    /// polled instead, with a warning.
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

    /// The health of the source.
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
        // Reading a file causes access events. A failed notification may stand for a change.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            // The receiver is dropped only when the thread has ended.
            let _ = changed.send(());
        }
    })?;
    for folder in versions.folders() {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
    }
    Ok(Some(watcher))
}

/// The state of the thread.
struct Follower<F> {
    /// The versions of the last attempt, successful or not.
    taken: FileVersions,
    /// The time of the next attempt after a failure.
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
                // The files are unchanged, so the active value is current.
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
                        "reload failed; the last good value stays active, and the reload is \
                         retried until it succeeds"
                    );
                }
            }
        }
    }
}

/// Waits for a change, at most for `time`. Returns `false` if the watch was dropped.
fn wait(changes: &Receiver<()>, time: Duration) -> bool {
    !matches!(
        changes.recv_timeout(time),
        Err(RecvTimeoutError::Disconnected)
    )
}

/// Waits until the files stop changing. Returns `None` if the watch was dropped.
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

/// Waits for `time`, regardless of notifications. Returns `false` if the watch was dropped.
fn pause(changes: &Receiver<()>, time: Duration) -> bool {
    let until = Instant::now() + time;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        // Notifications may arrive faster than they are received, so only the time ends this.
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
