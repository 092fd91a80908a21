//! Bans that all processes share.

mod entry;
mod task;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use stockade_abuse::{BanChange, BanListener, BanStore, Offender};
use tokio::sync::Notify;

use crate::{Redis, connection::AbortOnDrop};
use task::SyncTask;

/// Keeps bans in Redis, so that they hold on every process that shares the namespace.
///
/// 1. A ban, and its end, holds everywhere within a second: it is written at once, and each
///    process asks five times a second for what is new in a log of changes.
/// 2. Whoever comes, or lost the connection, reads all bans first.
/// 3. Changes that cannot be written wait, the last one of each offender, up to 10,000 of
///    them. While that lasts, bans hold where they were made.
/// 4. There are 100,000 bans at most; where there are more, those that end first are
///    forgotten in Redis.
/// 5. When Redis has lost its data, nobody is let in for that: each process keeps the bans
///    that it knows, and says so.
///
/// The clocks of the processes and of Redis should agree to the second.
pub struct RedisBans {
    shared: Arc<Shared>,
    redis: Redis,
    _task: AbortOnDrop,
}

/// The most changes that wait to be written.
const MAX_UNWRITTEN: usize = 10_000;

#[derive(Default)]
struct Shared {
    unwritten: Mutex<HashMap<Offender, BanChange>>,
    listener: Mutex<Option<Arc<BanListener>>>,
    /// Told when there is something to do.
    wake: Notify,
}

impl RedisBans {
    /// The bans of this namespace.
    ///
    /// # Panics
    /// When it is called outside of a tokio runtime.
    pub fn new(redis: &Redis) -> Self {
        let shared = Arc::<Shared>::default();
        let task = tokio::spawn(SyncTask::new(&shared, redis).run());
        Self {
            shared,
            redis: redis.clone(),
            _task: AbortOnDrop(task.abort_handle()),
        }
    }
}

impl BanStore for RedisBans {
    fn publish(&self, change: &BanChange) {
        let offender = entry::offender(change);
        let mut unwritten = self.shared.unwritten();
        if unwritten.len() >= MAX_UNWRITTEN && !unwritten.contains_key(offender) {
            drop(unwritten);
            tracing::error!("too many bans wait for Redis; one holds in this process only");
            return;
        }
        unwritten.insert(offender.clone(), change.clone());
        drop(unwritten);
        self.shared.wake.notify_one();
    }

    fn subscribe(&self, listener: BanListener) {
        *self
            .shared
            .listener
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(listener));
        self.shared.wake.notify_one();
    }
}

impl Shared {
    fn unwritten(&self) -> MutexGuard<'_, HashMap<Offender, BanChange>> {
        self.unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn listener(&self) -> Option<Arc<BanListener>> {
        self.listener
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl fmt::Debug for RedisBans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBans")
            .field("redis", &self.redis)
            .field("unwritten", &self.shared.unwritten().len())
            .finish_non_exhaustive()
    }
}
