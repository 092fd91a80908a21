//! How a journal is set up and started.

use std::{
    fmt, io,
    sync::{Arc, Condvar, Mutex, atomic::AtomicBool},
    thread,
    time::Duration,
};

use stockade_core::clock::{Clock, SystemClock};
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
    line::{Line, field},
};

/// How often records are made to outlive a loss of power, on the journal's own thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Whenever the operating system sees fit. A crash of the process alone loses nothing.
    Never,
    /// At most this long after a record was written.
    Interval(Duration),
    /// With each write.
    EveryBatch,
}

/// Sets up a [`Journal`]; made by [`Journal::builder`].
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
            clock: Box::new(SystemClock::new()),
        }
    }

    /// Seals the records in a chain under this key.
    pub fn chain(mut self, key: ChainKey) -> Self {
        self.key = Some(key);
        self
    }

    /// A key that the log was sealed with in the past, to judge what is there at the start.
    pub fn previous_key(mut self, key: ChainKey) -> Self {
        self.previous.push(key);
        self
    }

    /// The most bytes that wait; 8 MiB where this is not called, and 128 KiB at least. As
    /// many again may be on their way to the sink.
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes.max(2 * BATCH_BYTES);
        self
    }

    /// How long the thread waits for more records before it writes the first; 10 ms where
    /// this is not called. A crash of the process loses what came within this time.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// How often records are synced; each second where this is not called.
    pub fn fsync(mut self, fsync: Fsync) -> Self {
        self.fsync = fsync;
        self
    }

    /// How many refusals a second have a record of their own; `None` for all of them.
    pub fn coalesce(mut self, coalesce: Option<Coalesce>) -> Self {
        self.coalesce = coalesce;
        self
    }

    /// Tells the time by this clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Starts the journal's thread. The first record says how the log was found.
    ///
    /// With a chain, the newest file of the log is read and verified before that.
    ///
    /// # Errors
    /// When the log is there but cannot be read, or the thread cannot be started.
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
        opened.literal(field!("event"), "log_opened");
        opened.literal(field!("past"), recovery.finding);
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

impl fmt::Debug for JournalBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalBuilder")
            .field("overflow", &self.overflow)
            .field("capacity", &self.capacity)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
