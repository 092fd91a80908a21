//! The journal: a bounded buffer of records, and a thread that writes it to a sink.

mod builder;
mod coalesce;
mod queue;
mod recover;
mod stats;
mod writer;

use std::{
    error::Error,
    fmt,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use stockade_core::{
    clock::{Clock, Timestamp},
    context::RequestContext,
};
use tokio::sync::Notify;

pub use builder::{Fsync, JournalBuilder};
pub use coalesce::Coalesce;
pub(crate) use coalesce::RefusalKey;
pub use stats::JournalStats;

use crate::{ChainKey, Overflow, line::Line};
use queue::Queue;

/// A buffered stream of records to one sink.
///
/// Requests append records to a buffer. The journal's thread swaps the buffer for an empty
/// one, seals the records in it and writes them as one batch.
///
/// Cloning is cheap and shares the journal. Dropping the last clone writes the remaining
/// records, for at most five seconds; [`shutdown`](Self::shutdown) reports the result.
///
/// ```
/// use std::time::Duration;
///
/// use stockade_audit::{AuditLog, Fsync, Journal, Overflow, WriterSink};
///
/// let journal = Journal::builder(WriterSink::new(std::io::sink()), Overflow::DropAndCount)
///     .capacity(1 << 20)
///     .fsync(Fsync::EveryBatch)
///     .start()?;
/// journal.flush(Duration::from_secs(5))?;
/// assert_eq!(journal.stats().dropped, 0);
/// let log = AuditLog::new(journal);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
    thread: Arc<Thread>,
}

/// State shared by the journal's handles and its thread.
struct Shared {
    queue: Mutex<Queue>,
    /// Wakes the thread.
    work: Condvar,
    /// Wakes callers of `flush` and `shutdown`.
    settled: Condvar,
    /// Wakes requests that wait for space in the buffer.
    space: Notify,
    /// More than half of the capacity is used.
    full: AtomicBool,
    /// The sink's last write failed.
    failing: AtomicBool,
    overflow: Overflow,
    clock: Box<dyn Clock>,
}

impl Shared {
    /// Ignores poisoning: the queue is consistent after each step, so a panic while the lock
    /// was held leaves it valid.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a request proceeds given the state of the journal, in ascending strictness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Admission {
    Admit,
    Wait { at_most: Duration },
    Refuse,
}

impl Journal {
    /// Returns a builder for a journal that writes to this sink.
    pub fn builder(sink: impl crate::Sink, overflow: Overflow) -> JournalBuilder {
        JournalBuilder::new(Box::new(sink), overflow)
    }

    /// Reopens the sink's file, for example after an external rotation.
    pub fn reopen(&self) {
        self.shared.queue().commands.reopen = true;
        self.shared.work.notify_one();
    }

    /// Replaces the chain key; a record sealed by the old key names the new one.
    ///
    /// Has no effect on a journal without a chain.
    pub fn rotate_key(&self, key: ChainKey) {
        self.shared.queue().commands.key = Some(key);
        self.shared.work.notify_one();
    }

    /// Waits until all records appended so far are in the sink, and synced if the [`Fsync`]
    /// policy requires it. Blocks the calling thread.
    ///
    /// # Errors
    /// Fails if this takes longer than `within`.
    pub fn flush(&self, within: Duration) -> Result<(), FlushError> {
        let mut queue = self.shared.queue();
        queue.commands.checkpoint = true;
        let ticket = queue.ticket();
        self.shared.work.notify_one();
        let until = Instant::now() + within;
        while !queue.is_settled(ticket) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || queue.finished {
                return Err(FlushError);
            }
            let waited = self.shared.settled.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// Writes the remaining records and stops the thread; later records are dropped and
    /// counted. Blocks the calling thread.
    ///
    /// # Errors
    /// Fails if not all records were written within this time; the others are lost.
    pub fn shutdown(&self, within: Duration) -> Result<(), FlushError> {
        self.thread.stop(within)
    }

    /// Returns the counters and the current state.
    pub fn stats(&self) -> JournalStats {
        self.shared
            .queue()
            .stats(self.shared.failing.load(Ordering::Relaxed))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    pub(crate) fn arrival(&self, context: &RequestContext) -> Timestamp {
        self.shared.clock.arrival(context)
    }

    pub(crate) fn append(&self, line: &Line) {
        let mut queue = self.shared.queue();
        queue.push(line.as_bytes());
        self.appended(queue);
    }

    /// Returns whether to write a record for this refusal, and counts it if not.
    pub(crate) fn admit(&self, key: RefusalKey, now: Timestamp) -> bool {
        let mut queue = self.shared.queue();
        let admitted = queue.admit(key, now);
        self.appended(queue);
        admitted
    }

    fn appended(&self, queue: MutexGuard<'_, Queue>) {
        if queue.is_full() {
            self.shared.full.store(true, Ordering::Relaxed);
        }
        let wake = queue.needs_wakeup();
        drop(queue);
        if wake {
            self.shared.work.notify_one();
        }
    }

    pub(crate) fn admission(&self) -> Admission {
        let full = || self.shared.full.load(Ordering::Relaxed);
        match self.shared.overflow {
            Overflow::DropAndCount => Admission::Admit,
            Overflow::Block { at_most } if full() => Admission::Wait { at_most },
            Overflow::FailClosed if full() || self.shared.failing.load(Ordering::Relaxed) => {
                Admission::Refuse
            }
            Overflow::Block { .. } | Overflow::FailClosed => Admission::Admit,
        }
    }

    /// Completes when requests no longer need to wait.
    pub(crate) async fn wait_for_space(&self) {
        loop {
            let space = self.shared.space.notified();
            if !matches!(self.admission(), Admission::Wait { .. }) {
                return;
            }
            space.await;
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("overflow", &self.shared.overflow)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// Stops the thread when the last handle is dropped.
struct Thread {
    shared: Arc<Shared>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl Thread {
    /// The maximum duration of dropping the last handle.
    const ON_DROP: Duration = Duration::from_secs(5);

    fn stop(&self, within: Duration) -> Result<(), FlushError> {
        let until = Instant::now() + within;
        let mut queue = self.shared.queue();
        // The thread gives up slightly earlier, so that lost records are counted in time.
        queue.stop = Some(until - within / 10);
        self.shared.work.notify_one();
        while !queue.finished {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // The thread may be blocked in a write; it is detached.
                return Err(FlushError);
            }
            let waited = self.shared.settled.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let complete = queue.is_complete();
        drop(queue);
        let handle = self
            .handle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(handle) = handle {
            // The thread has finished; a panic was reported by the panic hook.
            let _ = handle.join();
        }
        if complete { Ok(()) } else { Err(FlushError) }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if let Err(error) = self.stop(Self::ON_DROP) {
            tracing::error!(%error, "audit journal dropped with unwritten records");
        }
    }
}

/// The error of [`Journal::flush`] and [`Journal::shutdown`]: not all records were written
/// in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushError;

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not all audit records were written in time; see the last error of the sink")
    }
}

impl Error for FlushError {}
