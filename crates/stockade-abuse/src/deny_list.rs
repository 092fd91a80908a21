//! The deny-list file: one banned client a line, for people and for other programs.

use std::{
    collections::HashSet,
    error::Error,
    fmt, io, mem,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError},
    },
    thread,
    time::Duration,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use stockade_core::clock::{Clock, SystemClock, Timestamp};
use stockade_watch::{Backoff, SourceHealth};

use crate::{Ban, BanChange, BanListener, BanStore, BanUpdate, SkippedLines};

mod file;
mod line;

use file::{Contents, DenyFile, Version};

/// How many changes may wait for the disk.
const QUEUE: usize = 100_000;
/// How many bans one write takes.
const BATCH: usize = 1_024;
/// After so many new lines, the file is looked through for those that are over.
const COMPACT_AFTER: usize = 1_000;
/// Editors write in steps; the file is read when it has been quiet this long.
const DEBOUNCE: Duration = Duration::from_millis(50);
/// How often the file is checked when no change was notified.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// The delays between attempts to read or write what failed.
const RETRY: Backoff = Backoff::new(Duration::from_millis(100), POLL_INTERVAL);

/// Keeps bans in a file that people can read and edit, and takes over what they write.
///
/// ```text
/// 192.168.1.100  # Blocked: 5 errors in 30s at 2025-11-03 10:30:00
/// key:suspicious-client  # Blocked: invalid_image at 2025-11-03 10:30:00
/// 10.1.0.0/16    # a line without a time holds until it is removed
/// ```
///
/// 1. A ban is appended and synced; a thread does so, and no request waits for it.
/// 2. A ban that ends also says when (`; until 2025-11-03T10:40:00Z`), in the comment,
///    where readers that do not know of it see no difference.
/// 3. Whoever edits the file is heard within a fraction of a second: a line that is added
///    bans, and one that is removed unbans.
/// 4. A line that cannot be read is skipped, and so is a network that is half of the world,
///    and a last line without a line end, which may have been cut off. Each is logged and
///    told with its number and a remedy; see [`SkippedLines`] and [`check`](Self::check).
/// 5. Comments stay. When more than half of the lines are over, the file is written anew
///    and renamed into place.
/// 6. What cannot be written (a full disk) holds in memory, is said once, and is written
///    when that is possible again: attempts go on, at most two seconds apart.
/// 7. Removing the file lifts no ban, because the file may come back; empty it instead. A
///    file that is missing is logged and told, and made with the next ban.
/// 8. Only regular files are read and written, never FIFOs or devices.
pub struct DenyList {
    commands: SyncSender<Command>,
    /// What was read when the list was opened, until somebody listens.
    first: Mutex<Option<BanUpdate>>,
    path: PathBuf,
    health: SourceHealth,
    /// Whether there was a file when the list was opened.
    missing: bool,
    /// Dropped before the thread is waited for.
    watcher: Mutex<Option<RecommendedWatcher>>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

enum Command {
    Publish(BanChange),
    Listen(BanListener),
    Changed,
    Stop,
}

impl DenyList {
    /// Reads the file; one that is not there is made when somebody is banned. Where the
    /// folder cannot be watched, the file is looked at every two seconds.
    ///
    /// # Errors
    /// When it cannot be read, or is no regular file.
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
                tracing::warn!(%list, %error, "changes are not notified; the file is polled");
                None
            }
        };
        let health = SourceHealth::new(path.display().to_string());
        let missing = version.is_none();
        let writer = Writer {
            file,
            clock,
            version,
            known: bans.clone(),
            pending_bans: Vec::new(),
            pending_removals: Vec::new(),
            appended: 0,
            failing: false,
            backoff: RETRY,
            health: health.clone(),
            listener: None,
        };
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

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How reading and writing the file fares, for metrics and readiness.
    pub fn health(&self) -> &SourceHealth {
        &self.health
    }

    /// Looks at a file once, without following it or changing it: what a detector would
    /// take from it, and what it would skip.
    ///
    /// # Errors
    /// When it cannot be read, or is no regular file.
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

/// What is in a deny-list; made by [`DenyList::check`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DenyListReport {
    /// There is no such file.
    pub missing: bool,
    /// The bans in force.
    pub bans: Vec<Ban>,
    /// The lines that cannot be read and ban no client.
    pub skipped: SkippedLines,
}

impl BanStore for DenyList {
    fn publish(&self, change: &BanChange) {
        let problem = match self.commands.try_send(Command::Publish(change.clone())) {
            Ok(()) => return,
            Err(TrySendError::Full(_)) => "too many bans at once; some are not in the file",
            Err(TrySendError::Disconnected(_)) => {
                "the thread that writes the deny-list has ended; restart the server"
            }
        };
        // The ban holds in memory. A flood of bans is no flood of lines.
        if self.health.failed(problem) {
            tracing::error!(file = %self.path.display(), "{problem}");
        }
    }

    fn subscribe(&self, listener: BanListener) {
        // What is in the file holds before the first request, not some time after it.
        let first = locked(&self.first).take();
        if let Some(update) = first {
            listener(update);
            if self.missing {
                let file = self.path.display().to_string().into();
                listener(BanUpdate::Missing { file });
            }
        }
        // The thread lives as long as this does; where it has panicked, `publish` says so.
        let _ = self.commands.send(Command::Listen(listener));
    }
}

impl Drop for DenyList {
    fn drop(&mut self) {
        drop(locked(&self.watcher).take());
        // The thread is gone only where it has ended by itself.
        let _ = self.commands.send(Command::Stop);
        let thread = locked(&self.thread).take();
        if let Some(thread) = thread
            // The last detector may go while the thread tells it something.
            && thread.thread().id() != thread::current().id()
        {
            // It logs what it cannot write; a panic of it was printed by its hook.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for DenyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DenyList").field(&self.path).finish()
    }
}

// Nothing panics while one of them is held.
fn locked<T>(slot: &Mutex<T>) -> MutexGuard<'_, T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn watch(path: &Path, commands: SyncSender<Command>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if !event.is_ok_and(|event| event.kind.is_access()) {
            // A full queue is looked through soon, and the file with it.
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

/// The thread that reads and writes the file.
struct Writer {
    file: DenyFile,
    clock: SystemClock,
    /// The version that was read or written last.
    version: Option<Version>,
    /// What was read or written last, for a file that is lost meanwhile.
    known: Vec<Ban>,
    /// What could not be written yet.
    pending_bans: Vec<Ban>,
    pending_removals: Vec<crate::Offender>,
    /// Lines added since the file was last looked through for those that are over.
    appended: usize,
    failing: bool,
    backoff: Backoff,
    health: SourceHealth,
    listener: Option<BanListener>,
}

impl Writer {
    fn run(mut self, queue: &Receiver<Command>) {
        loop {
            let mut stop = false;
            let mut next = queue.recv_timeout(self.pause());
            if matches!(next, Err(RecvTimeoutError::Disconnected)) {
                return;
            }
            if matches!(next, Ok(Command::Changed)) {
                thread::sleep(DEBOUNCE);
            }
            // All that waits goes to the disk in one write.
            for _ in 0..BATCH {
                match next {
                    Ok(Command::Publish(BanChange::Banned(ban))) => {
                        self.pending_removals
                            .retain(|offender| *offender != ban.offender);
                        self.pending_bans.push(ban);
                    }
                    Ok(Command::Publish(BanChange::Unbanned(offender))) => {
                        self.pending_bans.retain(|ban| ban.offender != offender);
                        self.pending_removals.push(offender);
                    }
                    Ok(Command::Listen(listener)) => self.listener = Some(listener),
                    Ok(Command::Stop) => stop = true,
                    Ok(Command::Changed) => {}
                    Err(_) => break,
                }
                next = queue.recv_timeout(Duration::ZERO);
            }
            // What people wrote is read before their file is written to.
            self.poll();
            self.write();
            if stop {
                return;
            }
        }
    }

    /// How long nothing is done unless something happens.
    fn pause(&mut self) -> Duration {
        match self.failing {
            true => self.backoff.next_delay(),
            false => {
                self.backoff.reset();
                POLL_INTERVAL
            }
        }
    }

    fn poll(&mut self) {
        let version = self.file.version();
        if version == self.version {
            if !self.failing {
                // Unchanged, so what is in force is current.
                self.health.succeeded();
            }
            return;
        }
        if version.is_none() {
            self.missing();
            return;
        }
        let read_at = self.clock.now();
        match self.file.read(read_at) {
            Ok(Contents {
                mut bans, skipped, ..
            }) => {
                self.version = version;
                self.failing &= !self.pending_bans.is_empty();
                if !self.failing {
                    self.health.succeeded();
                }
                self.known.clone_from(&bans);
                bans.retain(|ban| !self.pending_removals.contains(&ban.offender));
                bans.extend(self.pending_bans.iter().cloned());
                self.notify(BanUpdate::All {
                    bans,
                    skipped,
                    read_at,
                });
            }
            Err(error) => self.failed("read", &error),
        }
    }

    fn write(&mut self) {
        if self.pending_bans.is_empty() && self.pending_removals.is_empty() {
            return;
        }
        match self.try_write() {
            Ok(()) => {
                // Whoever heard that it failed hears that it works again: it is read.
                let failed = mem::take(&mut self.failing);
                self.version = self.file.version().filter(|_| !failed);
            }
            Err(error) => self.failed("write", &error),
        }
    }

    fn try_write(&mut self) -> io::Result<()> {
        let now = self.clock.now();
        if !self.pending_removals.is_empty() {
            let gone = mem::take(&mut self.pending_removals);
            self.known.retain(|ban| !gone.contains(&ban.offender));
            if let Err(error) = self.file.rewrite(&gone, now) {
                self.pending_removals = gone;
                return Err(error);
            }
        }
        if !self.pending_bans.is_empty() {
            if self.file.version().is_none() {
                self.restore(now);
            }
            self.file.append(&self.pending_bans)?;
            self.appended += self.pending_bans.len();
            self.known.append(&mut self.pending_bans);
            if self.appended >= COMPACT_AFTER {
                self.appended = 0;
                if self.file.read(now)?.is_stale() {
                    self.file.rewrite(&[], now)?;
                }
            }
        }
        Ok(())
    }

    /// The file is lost: what was in it goes into the new one.
    fn restore(&mut self, now: Timestamp) {
        let anew: HashSet<_> = self.pending_bans.iter().map(|ban| &ban.offender).collect();
        let known = self.known.iter();
        let lost = known.filter(|ban| ban.is_active(now) && !anew.contains(&ban.offender));
        let lost: Vec<_> = lost.cloned().collect();
        self.known.clear();
        self.pending_bans.splice(..0, lost);
    }

    /// There was a file, and it is gone. Told once; what is banned stays so.
    fn missing(&mut self) {
        let file = self.file.path().display().to_string();
        self.health.failed(format_args!("{file} is missing"));
        if !mem::replace(&mut self.failing, true) {
            self.notify(BanUpdate::Missing { file: file.into() });
        }
    }

    /// Says so once, and not every time that it is tried again.
    fn failed(&mut self, what: &'static str, error: &io::Error) {
        let file = self.file.path().display();
        let error = format!("cannot {what} the deny-list {file}: {error}");
        self.health.failed(&error);
        if !mem::replace(&mut self.failing, true) {
            self.notify(BanUpdate::Failed {
                error: error.into(),
            });
        }
    }

    fn notify(&self, update: BanUpdate) {
        if let Some(listener) = &self.listener {
            listener(update);
        }
    }
}

/// A deny-list that cannot be used.
#[derive(Debug)]
pub struct DenyListError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl DenyListError {
    fn new(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            doing,
            path: path.to_owned(),
            source,
        }
    }
}

impl fmt::Display for DenyListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            doing,
            path,
            source,
        } = self;
        write!(
            f,
            "cannot {doing} the deny-list {}: {source}",
            path.display()
        )
    }
}

impl Error for DenyListError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
