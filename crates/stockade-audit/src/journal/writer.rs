//! The journal's thread.

use std::{
    io, mem,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use stockade_core::clock::Timestamp;
use tracing::{error, info};

use super::{
    Fsync, Shared,
    queue::{BATCH_BYTES, Commands, Sleep},
};
use crate::{
    Batch, Sink,
    chain::Chain,
    line::{Level, Line, field, text_field},
};

/// How often the head is stored if the policy does not sync.
const HEAD_INTERVAL: Duration = Duration::from_secs(1);
/// The delay of the first retry of a failed write, and the maximum delay.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// A buffer that grew beyond this size is shrunk to it.
const MAX_SPARE: usize = 16 * BATCH_BYTES;

pub(super) struct Writer {
    shared: Arc<Shared>,
    sink: Box<dyn Sink>,
    chain: Option<Chain>,
    fsync: Fsync,
    linger: Duration,
    batch: Vec<u8>,
    /// The number of the first record not yet taken from the queue.
    next: u64,
    /// Records were written since the last checkpoint.
    dirty: bool,
    /// The last checkpoint failed.
    unsynced: bool,
    /// The time of the last checkpoint.
    checked: Instant,
}

/// One unit of work of the thread.
struct Work {
    /// The number of records in the batch.
    records: u64,
    commands: Commands,
    /// The journal is stopping.
    stops: bool,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        sink: Box<dyn Sink>,
        chain: Option<Chain>,
        fsync: Fsync,
        linger: Duration,
    ) -> Self {
        Self {
            shared,
            sink,
            chain,
            fsync,
            linger,
            batch: Vec::new(),
            next: 1,
            dirty: false,
            unsynced: false,
            checked: Instant::now(),
        }
    }

    pub(super) fn run(mut self) {
        let mut wrote = None;
        loop {
            let Work {
                records,
                commands,
                stops,
            } = self.wait(wrote);
            if commands.reopen {
                self.reopen();
            }
            if records > 0 {
                if let Some(chain) = &mut self.chain {
                    chain.seal(&mut self.batch);
                }
                if !self.write(records) {
                    return;
                }
            }
            wrote = (records > 0).then(Instant::now);
            if let (Some(chain), Some(key)) = (&mut self.chain, commands.key) {
                chain.use_key(key);
            }
            let due = self.due().is_some_and(|due| due.is_zero());
            if due || commands.checkpoint || stops {
                self.checkpoint();
            }
            if stops && self.shared.queue().is_empty() {
                return;
            }
        }
    }

    /// Sleeps until there is work, and takes it.
    ///
    /// After a batch it lingers for the next one, so that on a busy server no request pays for
    /// waking the thread.
    fn wait(&mut self, mut lingered: Option<Instant>) -> Work {
        let shared = Arc::clone(&self.shared);
        let mut queue = shared.queue();
        loop {
            queue.push_coalesced(shared.clock.now());
            let due = self.due();
            if queue.has_commands() || queue.is_batch() || due.is_some_and(|due| due.is_zero()) {
                break;
            }
            if !queue.is_empty() {
                lingered.get_or_insert_with(Instant::now);
            }
            let mut left = lingered.map(|since| self.linger.saturating_sub(since.elapsed()));
            match left {
                Some(Duration::ZERO) if !queue.is_empty() => break,
                Some(Duration::ZERO) | None => {
                    (lingered, left) = (None, None);
                    queue.sleep = match queue.has_coalesced() {
                        true => Sleep::Counting,
                        false => Sleep::Idle,
                    };
                }
                Some(_) => queue.sleep = Sleep::Lingering,
            }
            // Coalesced refusals are written when their second has ended.
            let second = queue.has_coalesced().then_some(Duration::from_secs(1));
            queue = match [left, due, second].into_iter().flatten().min() {
                Some(patience) => {
                    let waited = shared.work.wait_timeout(queue, patience);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = shared.work.wait(queue);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
        queue.sleep = Sleep::Awake;
        let now = shared.clock.now();
        if queue.commands.checkpoint || queue.stop.is_some() {
            queue.flush_coalesced(now);
        }
        queue.push_lost(now);
        let mut commands = mem::take(&mut queue.commands);
        commands.key = commands.key.filter(|_| self.chain.is_some());
        if let Some(key) = &commands.key {
            queue.push_key_rotation(key, now);
        }
        self.next = queue.ticket();
        let work = Work {
            records: queue.take(&mut self.batch),
            commands,
            stops: queue.stop.is_some(),
        };
        shared.full.store(false, Ordering::Relaxed);
        drop(queue);
        shared.space.notify_waiters();
        work
    }

    /// Writes the batch and retries until it succeeds; `false` if the journal was stopped
    /// before.
    fn write(&mut self, records: u64) -> bool {
        let mut delay = RETRY.0;
        let mut failed = None;
        while let Err(error) = self.sink.write(&Batch::new(&self.batch)) {
            failed.get_or_insert_with(|| self.shared.clock.now());
            self.note(&error);
            if !self.shared.failing.swap(true, Ordering::Relaxed) {
                error!(%error, "audit log cannot be written; retrying");
            }
            if !self.pause(delay, records) {
                return false;
            }
            delay = RETRY.1.min(delay * 2);
        }
        let used = self.batch.len();
        self.batch.clear();
        // Not while large batches continue: the memory would be allocated again.
        if used < MAX_SPARE {
            self.batch.shrink_to(MAX_SPARE);
        }
        self.dirty = true;
        if let Some(failed) = failed {
            self.recovered(failed);
        }
        self.shared.queue().totals.written += records;
        true
    }

    fn recovered(&self, failed: Timestamp) {
        self.shared.failing.store(false, Ordering::Relaxed);
        info!("audit log is written again");
        let now = self.shared.clock.now();
        let mut line = Line::new(now, Level::Warn, "audit log written again");
        line.literal(text_field!("event"), "sink_recovered");
        line.millis(field!("failed_ms"), failed, now);
        let mut queue = self.shared.queue();
        let error = queue.totals.last_error.clone().unwrap_or_default();
        line.text(text_field!("detail"), &error, 256);
        queue.push_unbounded(line.as_bytes());
    }

    /// Waits before retrying a failed write; `false` if no time is left.
    fn pause(&mut self, delay: Duration, records: u64) -> bool {
        let shared = Arc::clone(&self.shared);
        let queue = shared.queue();
        let delay = queue.time_left().map_or(delay, |left| left.min(delay));
        let waited = shared.work.wait_timeout(queue, delay);
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        if queue.time_left().is_some_and(|left| left.is_zero()) {
            queue.count_lost(records);
            return false;
        }
        if mem::take(&mut queue.commands.reopen) {
            drop(queue);
            self.reopen();
        }
        true
    }

    /// The time until the next checkpoint; `None` if nothing was written since the last one.
    fn due(&self) -> Option<Duration> {
        let interval = match self.fsync {
            _ if self.unsynced => RETRY.1,
            Fsync::Never => HEAD_INTERVAL,
            Fsync::Interval(interval) => interval,
            Fsync::EveryBatch => Duration::ZERO,
        };
        self.dirty
            .then(|| interval.saturating_sub(self.checked.elapsed()))
    }

    /// Syncs the written records and stores the head.
    fn checkpoint(&mut self) {
        if self.dirty {
            self.checked = Instant::now();
            let result = self.sync();
            self.unsynced = result.is_err();
            self.shared.failing.store(self.unsynced, Ordering::Relaxed);
            if let Err(error) = result {
                self.note(&error);
                error!(%error, "audit log cannot be synced");
                return;
            }
            self.dirty = false;
        }
        self.shared.queue().settle();
        self.shared.settled.notify_all();
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.fsync != Fsync::Never {
            self.sink.sync()?;
        }
        match &self.chain {
            Some(chain) => {
                let head = chain.head(self.next - 1, self.shared.clock.now());
                self.sink.store_head(&head)
            }
            None => Ok(()),
        }
    }

    fn reopen(&mut self) {
        if let Err(error) = self.sink.reopen() {
            self.note(&error);
            error!(%error, "audit log cannot be reopened");
        }
    }

    fn note(&self, error: &io::Error) {
        let mut queue = self.shared.queue();
        queue.totals.errors += 1;
        queue.totals.last_error = Some(error.to_string());
    }
}

impl Drop for Writer {
    /// Releases waiting callers, also if the sink panicked.
    fn drop(&mut self) {
        self.shared.queue().finish();
        self.shared.failing.store(true, Ordering::Relaxed);
        self.shared.full.store(false, Ordering::Relaxed);
        self.shared.settled.notify_all();
        self.shared.space.notify_waiters();
    }
}
