//! The deny-list file: one banned client per line, editable by operators and other programs.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{self, SyncSender, TrySendError},
    },
    thread,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use stockade_core::clock::{Clock, SystemClock};
use stockade_watch::SourceHealth;

use crate::{Ban, BanChange, BanListener, BanStore, BanUpdate, SkippedLines};

mod error;
mod file;
mod line;
mod writer;

pub use error::DenyListError;
use file::{Contents, DenyFile};
use writer::{Command, Writer};

/// The maximum number of queued changes.
const QUEUE: usize = 100_000;

/// Stores bans in a text file, and applies changes that others make to it.
///
/// ```text
/// 192.168.1.100  # Blocked: 5 errors in 30s at 2025-11-03 10:30:00
/// key:suspicious-client  # Blocked: invalid_image at 2025-11-03 10:30:00
/// 10.1.0.0/16    # a line without a time holds until it is removed
/// ```
///
/// 1. A background thread appends and syncs each ban; requests do not wait for it.
/// 2. The end of a temporary ban is in the comment (`; until 2025-11-03T10:40:00Z`), so that
///    other programs can ignore it.
/// 3. Changes of the file apply within a fraction of a second: an added line bans, a removed
///    line lifts the ban.
/// 4. Lines that cannot be parsed, networks that are too wide, and a last line without a line
///    end, which may be incomplete, are skipped. Each is logged and reported with its number
///    and a remedy; see [`SkippedLines`] and [`check`](Self::check). The next write turns an
///    incomplete line into a comment.
/// 5. Comments are preserved. If more than half of the lines are stale, the file is replaced
///    atomically.
/// 6. Bans that cannot be written (full disk) stay in memory. The failure is reported once,
///    and the write is retried at least every two seconds.
/// 7. Removing the file lifts no bans, since it may be replaced; empty it instead. A missing
///    file is logged and reported, and the next ban creates it.
/// 8. Only regular files are read and written, never FIFOs or devices.
pub struct DenyList {
    commands: SyncSender<Command>,
    /// The contents when the list was opened, until the detector subscribes.
    first: Mutex<Option<BanUpdate>>,
    path: PathBuf,
    health: SourceHealth,
    /// Whether the file was missing when the list was opened.
    missing: bool,
    /// Dropped before the thread is joined.
    watcher: Mutex<Option<RecommendedWatcher>>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl DenyList {
    /// Reads the file and watches it for changes. A missing file is created by the first ban. If
    /// the directory cannot be watched, the file is checked every two seconds.
    ///
    /// # Errors
    /// Fails if the file cannot be read or is not a regular file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DenyListError> {
        let path = path.as_ref();
        let file = DenyFile::new(path);
        let clock = SystemClock::new();
        let read_at = clock.now();
        let version = file.version();
        let contents = file.read(read_at);
        let Contents { bans, skipped, .. } =
            contents.map_err(|source| DenyListError::new("read", path, source))?;
        let (commands, queue) = mpsc::sync_channel(QUEUE);
        let watcher = match watch(path, commands.clone()) {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                let list = path.display();
                tracing::warn!(%list, %error, "deny-list cannot be watched; polling it");
                None
            }
        };
        let health = SourceHealth::new(path.display().to_string());
        let missing = version.is_none();
        let writer = Writer::new(file, clock, version, bans.clone(), health.clone());
        let thread = thread::Builder::new()
            .name("deny-list".to_owned())
            .spawn(move || writer.run(&queue))
            .map_err(|source| DenyListError::new("write", path, source))?;
        Ok(Self {
            commands,
            first: Mutex::new(Some(BanUpdate::All {
                bans,
                skipped,
                read_at,
            })),
            path: path.to_owned(),
            health,
            missing,
            watcher: Mutex::new(watcher),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the health of reading and writing the file, for metrics and readiness.
    pub fn health(&self) -> &SourceHealth {
        &self.health
    }

    /// Reads a file once without watching or changing it, and returns its bans and skipped
    /// lines.
    ///
    /// # Errors
    /// Fails if the file cannot be read or is not a regular file.
    pub fn check(path: impl AsRef<Path>) -> Result<DenyListReport, DenyListError> {
        let path = path.as_ref();
        let file = DenyFile::new(path);
        let missing = file.version().is_none();
        let contents = file.read(SystemClock::new().now());
        let Contents { bans, skipped, .. } =
            contents.map_err(|source| DenyListError::new("read", path, source))?;
        Ok(DenyListReport {
            missing,
            bans,
            skipped,
        })
    }
}

/// The contents of a deny-list; returned by [`DenyList::check`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DenyListReport {
    /// Whether the file is missing.
    pub missing: bool,
    /// The active bans.
    pub bans: Vec<Ban>,
    /// The lines that cannot be parsed.
    pub skipped: SkippedLines,
}

impl BanStore for DenyList {
    fn publish(&self, change: &BanChange) {
        let problem = match self.commands.try_send(Command::Publish(change.clone())) {
            Ok(()) => return,
            Err(TrySendError::Full(_)) => "too many bans at once; some are not written to the file",
            Err(TrySendError::Disconnected(_)) => {
                "the deny-list thread has ended; restart the server"
            }
        };
        // The ban stays in memory. Logged once, so that a flood of bans causes no flood of logs.
        if self.health.failed(problem) {
            tracing::error!(file = %self.path.display(), "{problem}");
        }
    }

    fn subscribe(&self, listener: BanListener) {
        // The bans in the file must be active before the first request.
        let first = locked(&self.first).take();
        if let Some(update) = first {
            listener(update);
            if self.missing {
                let file = self.path.display().to_string().into();
                listener(BanUpdate::Missing { file });
            }
        }
        // The thread lives as long as `self`; if it has panicked, `publish` reports that.
        let _ = self.commands.send(Command::Listen(listener));
    }
}

impl Drop for DenyList {
    fn drop(&mut self) {
        drop(locked(&self.watcher).take());
        // Fails only if the thread has ended already.
        let _ = self.commands.send(Command::Stop);
        let thread = locked(&self.thread).take();
        if let Some(thread) = thread
            // The thread itself may drop the last detector.
            && thread.thread().id() != thread::current().id()
        {
            // The thread logs its errors; a panic was reported by the panic hook.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for DenyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DenyList").field(&self.path).finish()
    }
}

// No code panics while holding a lock.
fn locked<T>(slot: &Mutex<T>) -> MutexGuard<'_, T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn watch(path: &Path, commands: SyncSender<Command>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if !event.is_ok_and(|event| event.kind.is_access()) {
            // If the queue is full, the thread runs and checks the file anyway.
            let _ = commands.try_send(Command::Changed);
        }
    })?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}
