//! The thread that checks open streams.

use std::{
    collections::HashMap,
    fmt, io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    thread,
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;

use super::{
    Watched,
    access::{Access, Ended},
};

/// The interval between two checks of a stream.
const INTERVAL: Duration = Duration::from_millis(500);

/// The open streams, and the thread that checks them, which ends when this is dropped.
pub(super) struct Monitor {
    shared: Arc<Shared>,
    enabled: AtomicBool,
}

struct Shared {
    access: Access,
    open: Mutex<OpenStreams>,
    changed: Condvar,
}

/// Each open stream is a response that is on its way, so requests bound their number.
#[derive(Default)]
struct OpenStreams {
    streams: HashMap<u64, Arc<Stream>, RandomState>,
    next: u64,
    check_now: bool,
    closed: bool,
}

impl Monitor {
    pub(super) fn start(access: Access, enabled: bool) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            access,
            open: Mutex::default(),
            changed: Condvar::new(),
        });
        let checked = Arc::clone(&shared);
        thread::Builder::new()
            .name("stockade-streams".to_owned())
            .spawn(move || checked.run())?;
        Ok(Self {
            shared,
            enabled: enabled.into(),
        })
    }

    #[cfg(test)]
    pub(super) fn access(&self) -> &Access {
        &self.shared.access
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }

    pub(super) fn set_enabled(&self, enabled: bool) {
        self.enabled.store(enabled, Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> usize {
        self.shared.open().streams.len()
    }

    pub(super) fn check_now(&self) {
        self.shared.open().check_now = true;
        self.shared.changed.notify_one();
    }

    pub(super) fn add(&self, watched: Watched) -> (u64, Arc<Stream>) {
        let stream = Arc::new(Stream {
            watched,
            state: Mutex::default(),
        });
        let mut open = self.shared.open();
        let id = open.next;
        open.next += 1;
        open.streams.insert(id, Arc::clone(&stream));
        if open.streams.len() == 1 {
            self.shared.changed.notify_one();
        }
        (id, stream)
    }

    pub(super) fn remove(&self, id: u64) {
        self.shared.open().streams.remove(&id);
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.shared.open().closed = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    // Nothing panics while the lock is held.
    fn open(&self) -> MutexGuard<'_, OpenStreams> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut streams = Vec::new();
        while self.wait(&mut streams) {
            let ended = streams
                .drain(..)
                .filter(|stream| stream.check(&self.access));
            let ended = ended.count();
            if ended > 0 {
                tracing::info!(streams = ended, "streams end: their clients lost access");
            }
        }
    }

    /// Waits until the next check, and lists the streams to check. Returns `false` at the end.
    fn wait(&self, streams: &mut Vec<Arc<Stream>>) -> bool {
        let mut open = self.open();
        let next = Instant::now() + INTERVAL;
        loop {
            let left = next.saturating_duration_since(Instant::now());
            if open.closed {
                return false;
            }
            if !open.streams.is_empty() && (open.check_now || left.is_zero()) {
                break;
            }
            open = if open.streams.is_empty() {
                let open = self.changed.wait(open);
                open.unwrap_or_else(PoisonError::into_inner)
            } else {
                let open = self.changed.wait_timeout(open, left);
                open.unwrap_or_else(PoisonError::into_inner).0
            };
        }
        open.check_now = false;
        // Streams that begin or end meanwhile do not wait for the checks.
        streams.extend(open.streams.values().cloned());
        true
    }
}

/// An open stream.
pub(super) struct Stream {
    pub(super) watched: Watched,
    state: Mutex<State>,
}

/// What the thread and the task of a stream tell each other.
#[derive(Default)]
struct State {
    ended: Option<Ended>,
    /// Whether more tokens were used than are reserved.
    has_excess: bool,
    waker: Option<Waker>,
}

/// What a stream has to do.
pub(super) enum Notice {
    /// End.
    End(Ended),
    /// Extend the reservation.
    Extend,
}

impl Stream {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks the access. Returns whether it has ended since the last check.
    fn check(&self, access: &Access) -> bool {
        if self.state().ended.is_some() {
            return false;
        }
        let ended = access.check(&self.watched.context);
        let reserved = self.watched.reserved.as_ref();
        let has_excess = reserved.is_some_and(|reserved| reserved.excess() > 0);
        let has_ended = ended.is_some();
        if !has_ended && !has_excess {
            return false;
        }
        let mut state = self.state();
        state.ended = ended;
        state.has_excess = has_excess;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        has_ended
    }

    /// Returns what there is to do, or wakes this task when there is something.
    pub(super) fn poll_notice(&self, waker: &Waker) -> Option<Notice> {
        let mut state = self.state();
        if let Some(ended) = &state.ended {
            return Some(Notice::End(ended.clone()));
        }
        if std::mem::take(&mut state.has_excess) {
            return Some(Notice::Extend);
        }
        if !state.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
            state.waker = Some(waker.clone());
        }
        None
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor")
            .field("open", &self.count())
            .field("enabled", &self.is_enabled())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stream").field(&self.watched).finish()
    }
}
