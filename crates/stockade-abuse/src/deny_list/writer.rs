//! The thread of a deny-list.

use std::{
    collections::HashSet,
    io, mem,
    sync::mpsc::{Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use stockade_core::clock::{Clock, SystemClock, Timestamp};
use stockade_watch::{Backoff, SourceHealth};

use super::file::{Contents, DenyFile, Version};
use crate::{Ban, BanChange, BanListener, BanUpdate, Offender};

/// The maximum number of changes per write.
const BATCH: usize = 1_024;
/// The number of appended lines after which the file is checked for expired ones.
const COMPACT_AFTER: usize = 1_000;
/// The delay after a change notification, since editors write in several steps.
const DEBOUNCE: Duration = Duration::from_millis(50);
/// How often the file is checked without a notification.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// The delays between retries after a failure.
const RETRY: Backoff = Backoff::new(Duration::from_millis(100), POLL_INTERVAL);

/// A command to the thread.
pub(super) enum Command {
    Publish(BanChange),
    Listen(BanListener),
    Changed,
    Stop,
}

/// The thread that reads and writes the file.
pub(super) struct Writer {
    file: DenyFile,
    clock: SystemClock,
    /// The last version that was read or written.
    version: Option<Version>,
    /// The last bans that were read or written, to restore a lost file.
    known: Vec<Ban>,
    /// Bans that are not written yet.
    pending_bans: Vec<Ban>,
    pending_removals: Vec<Offender>,
    /// Lines appended since the last check for expired ones.
    appended: usize,
    failing: bool,
    backoff: Backoff,
    health: SourceHealth,
    listener: Option<BanListener>,
}

impl Writer {
    pub(super) fn new(
        file: DenyFile,
        clock: SystemClock,
        version: Option<Version>,
        known: Vec<Ban>,
        health: SourceHealth,
    ) -> Self {
        Self {
            file,
            clock,
            version,
            known,
            pending_bans: Vec::new(),
            pending_removals: Vec::new(),
            appended: 0,
            failing: false,
            backoff: RETRY,
            health,
            listener: None,
        }
    }

    pub(super) fn run(mut self, queue: &Receiver<Command>) {
        loop {
            let mut stop = false;
            let mut next = queue.recv_timeout(self.pause());
            if matches!(next, Err(RecvTimeoutError::Disconnected)) {
                return;
            }
            if matches!(next, Ok(Command::Changed)) {
                thread::sleep(DEBOUNCE);
            }
            // Write all queued changes at once.
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
            // Read changes of others before writing.
            self.poll();
            self.write();
            if stop {
                return;
            }
        }
    }

    /// Returns how long to wait for a command.
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
                // Unchanged, so the bans are current.
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
                // After a failure, read the file again to report the recovery.
                let failed = mem::take(&mut self.failing);
                self.version = self.file.version().filter(|_| !failed);
            }
            Err(error) => self.failed("write", &error),
        }
    }

    fn try_write(&mut self) -> io::Result<()> {
        let now = self.clock.now();
        if !self.pending_removals.is_empty() {
            let removals = mem::take(&mut self.pending_removals);
            self.known.retain(|ban| !removals.contains(&ban.offender));
            if let Err(error) = self.file.rewrite(&removals, now) {
                self.pending_removals = removals;
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

    /// Restores the bans of a lost file.
    fn restore(&mut self, now: Timestamp) {
        let pending: HashSet<_> = self.pending_bans.iter().map(|ban| &ban.offender).collect();
        let known = self.known.iter();
        let lost = known.filter(|ban| ban.is_active(now) && !pending.contains(&ban.offender));
        let lost: Vec<_> = lost.cloned().collect();
        self.known.clear();
        self.pending_bans.splice(..0, lost);
    }

    /// Reports once that the file is missing; existing bans stay.
    fn missing(&mut self) {
        let file = self.file.path().display().to_string();
        self.health.failed(format_args!("{file} is missing"));
        if !mem::replace(&mut self.failing, true) {
            self.notify(BanUpdate::Missing { file: file.into() });
        }
    }

    /// Reports a failure once, not for each retry.
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
