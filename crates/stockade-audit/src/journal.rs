//! One stream of records: a bounded buffer, and a thread that writes it to a sink.

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

use stockade_core::clock::{Clock, Timestamp};
use tokio::sync::Notify;

pub use builder::{Fsync, JournalBuilder};
pub use coalesce::Coalesce;
pub(crate) use coalesce::RefusalKey;
pub use stats::JournalStats;

use crate::{ChainKey, Overflow, line::Line};
use queue::Queue;

/// Records on their way to one sink.
///
/// Whoever writes a record appends it to a buffer and goes on; a thread of the journal's
/// own swaps the buffer for an empty one, seals what is in it, and writes that in one go.
/// Cheap to clone. When the last clone is dropped, what is left is written, for five
/// seconds at most; [`shutdown`](Self::shutdown) says whether that went well.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
    thread: Arc<Thread>,
}

/// What the writers of records and the thread share.
struct Shared {
    queue: Mutex<Queue>,
    /// Wakes the thread.
    work: Condvar,
    /// Wakes those who wait for the thread.
    settled: Condvar,
    /// Wakes requests that wait at the door.
    space: Notify,
    /// Half of the capacity is used.
    full: AtomicBool,
    /// The sink's last write failed.
    failing: AtomicBool,
    overflow: Overflow,
    clock: Box<dyn Clock>,
}

impl Shared {
    /// A panic while the lock was held leaves a queue that is whole: each change is a
    /// record appended or not.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a request finds at the door, the most lenient first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Admission {
    Admit,
    Wait { at_most: Duration },
    Refuse,
}

impl Journal {
    /// A journal that writes to this sink, and does this where it cannot keep up.
    pub fn builder(sink: impl crate::Sink, overflow: Overflow) -> JournalBuilder {
        JournalBuilder::new(Box::new(sink), overflow)
    }

    /// Opens the sink's file anew, as after a rotation by somebody else.
    pub fn reopen(&self) {
        self.shared.queue().commands.reopen = true;
        self.shared.work.notify_one();
    }

    /// Goes on with another key: a record under the old key names the new one.
    ///
    /// A journal without a chain stays without one.
    pub fn rotate_key(&self, key: ChainKey) {
        self.shared.queue().commands.key = Some(key);
        self.shared.work.notify_one();
    }

    /// Waits until all that was written so far is in the sink, and synced where that is
    /// the policy. It holds the thread, so call it where that does no harm.
    ///
    /// # Errors
    /// When that is not so within this time.
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

    /// Writes what is left and ends the thread; what comes after that is lost and counted.
    /// It holds the thread, so call it where that does no harm.
    ///
    /// # Errors
    /// When not everything was written within this time. The rest is lost.
    pub fn shutdown(&self, within: Duration) -> Result<(), FlushError> {
        self.thread.stop(within)
    }

    /// What it has done and how it is.
    pub fn stats(&self) -> JournalStats {
        self.shared
            .queue()
            .stats(self.shared.failing.load(Ordering::Relaxed))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    pub(crate) fn append(&self, line: &Line) {
        let mut queue = self.shared.queue();
        queue.push(line.as_bytes());
        self.appended(queue);
    }

    /// Whether a record of this offence is to be written.
    pub(crate) fn admit(&self, key: RefusalKey) -> bool {
        let now = self.now();
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

    /// Ends when requests need not wait at the door.
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

/// Ends the thread when the last journal is dropped.
struct Thread {
    shared: Arc<Shared>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl Thread {
    /// How long dropping a journal may take.
    const ON_DROP: Duration = Duration::from_secs(5);

    fn stop(&self, within: Duration) -> Result<(), FlushError> {
        let until = Instant::now() + within;
        let mut queue = self.shared.queue();
        // It gives up a little before, so that what is lost is counted by then.
        queue.stop = Some(until - within / 10);
        self.shared.work.notify_one();
        while !queue.finished {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // The thread may hang in a write. It is left behind.
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
            // It has nothing left to do; if it panicked, that was said already.
            let _ = handle.join();
        }
        if complete { Ok(()) } else { Err(FlushError) }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if let Err(error) = self.stop(Self::ON_DROP) {
            tracing::error!(%error, "the audit log was dropped with records that are not written");
        }
    }
}

/// Not all records were written in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushError;

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not all audit records were written in time; look at the sink's last error")
    }
}

impl Error for FlushError {}
