//! The builder of a journal.

use std::{
    fmt, io,
    sync::{Arc, Condvar, Mutex, atomic::AtomicBool},
    thread,
    time::Duration,
};

use stockade_core::{
    clock::{Clock, SystemClock, Timestamp},
    context::RequestContext,
};
use tokio::sync::Notify;

use super::{
    Coalesce, Journal, Shared, Thread,
    coalesce::Coalescer,
    queue::{BATCH_BYTES, Queue},
    recover::{Recovery, recover},
    writer::Writer,
};
use crate::{
    ChainKey, Overflow, Sink,
    chain::Chain,
    line::{Line, text_field},
};

/// How often the journal's thread syncs records to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fsync {
    /// When the operating system decides. A crash of the process alone loses no written record.
    Never,
    /// At most this long after a record is written.
    Interval(Duration),
    /// After each write.
    EveryBatch,
}

/// Builds a [`Journal`]; created by [`Journal::builder`].
///
/// ```
/// use std::time::Duration;
///
/// use stockade_audit::{ChainKey, FileSink, Fsync, Journal, Overflow};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("audit.log");
/// # let secret = [7; 32];
/// let journal = Journal::builder(FileSink::open(&path)?, Overflow::FailClosed)
///     .chain(ChainKey::new("2026-01", secret)?)
///     .fsync(Fsync::EveryBatch)
///     .linger(Duration::ZERO)
///     .start()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct JournalBuilder {
    sink: Box<dyn Sink>,
    overflow: Overflow,
    capacity: usize,
    linger: Duration,
    fsync: Fsync,
    coalesce: Option<Coalesce>,
    key: Option<ChainKey>,
    previous: Vec<ChainKey>,
    clock: Box<dyn Clock>,
}

impl JournalBuilder {
    pub(super) fn new(sink: Box<dyn Sink>, overflow: Overflow) -> Self {
        Self {
            sink,
            overflow,
            capacity: 8 * 1_024 * 1_024,
            linger: Duration::from_millis(10),
            fsync: Fsync::Interval(Duration::from_secs(1)),
            coalesce: Some(Coalesce::default()),
            key: None,
            previous: Vec::new(),
            clock: Box::new(ArrivalClock),
        }
    }

    /// Seals the records in a chain with this key.
    pub fn chain(mut self, key: ChainKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Adds a previous chain key, to verify the existing log on start.
    pub fn previous_key(mut self, key: ChainKey) -> Self {
        self.previous.push(key);
        self
    }

    /// Sets the capacity of the buffer in bytes; 8 MiB by default, at least 128 KiB. The batch
    /// that is being written may use as much again.
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes.max(2 * BATCH_BYTES);
        self
    }

    /// Sets how long the thread waits for more records before it writes a batch; 10 ms by
    /// default. A crash of the process loses the records of this time.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// Sets how often records are synced; every second by default.
    pub fn fsync(mut self, fsync: Fsync) -> Self {
        self.fsync = fsync;
        self
    }

    /// Limits the records of refusals; `None` records each one.
    pub fn coalesce(mut self, coalesce: Option<Coalesce>) -> Self {
        self.coalesce = coalesce;
        self
    }

    /// Sets the clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Starts the journal's thread. The first record reports the state of the existing log.
    ///
    /// With a chain, the newest file of the log is verified first.
    ///
    /// # Errors
    /// Fails if an existing log cannot be read, or the thread cannot be started.
    pub fn start(mut self) -> io::Result<Journal> {
        let recovery = match &self.key {
            Some(key) => {
                let keys = self.previous.into_iter().chain([key.clone()]);
                recover(self.sink.stored_log()?, keys)?
            }
            None => Recovery::default(),
        };
        let mut queue = Queue::new(self.capacity, recovery.next, Coalescer::new(self.coalesce));
        let mut opened = Line::new(self.clock.now(), recovery.level(), "audit log opened");
        opened.literal(text_field!("event"), "log_opened");
        opened.literal(text_field!("past"), recovery.finding);
        queue.push_unbounded(opened.as_bytes());

        let shared = Arc::new(Shared {
            queue: Mutex::new(queue),
            work: Condvar::new(),
            settled: Condvar::new(),
            space: Notify::new(),
            full: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            overflow: self.overflow,
            clock: self.clock,
        });
        let chain = self.key.map(|key| Chain::new(key, recovery.tip));
        let writer = Writer::new(
            Arc::clone(&shared),
            self.sink,
            chain,
            self.fsync,
            self.linger,
        );
        let handle = thread::Builder::new()
            .name("stockade-audit".to_owned())
            .spawn(|| writer.run())?;
        let thread = Arc::new(Thread {
            shared: Arc::clone(&shared),
            handle: Mutex::new(Some(handle)),
        });
        Ok(Journal { shared, thread })
    }
}

/// The clock by which requests arrive, so that a latency is the difference of two readings of
/// the same clock.
struct ArrivalClock;

impl Clock for ArrivalClock {
    fn now(&self) -> Timestamp {
        SystemClock::shared().now()
    }

    fn arrival(&self, context: &RequestContext) -> Timestamp {
        context.arrived()
    }
}

impl fmt::Debug for JournalBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalBuilder")
            .field("overflow", &self.overflow)
            .field("capacity", &self.capacity)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
