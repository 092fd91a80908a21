//! Bans shared by all processes.

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

/// Stores bans in Redis, so that they hold on every process that shares the namespace.
///
/// 1. A ban, and its end, takes effect everywhere within a second: it is written immediately,
///    and each process polls a change log five times per second.
/// 2. After a start or a lost connection, a process reads all bans.
/// 3. Changes that cannot be written are queued, the last one per offender, up to 10,000.
///    Meanwhile, bans hold in the process that made them.
/// 4. At most 100,000 bans are stored; beyond that, those that end first are dropped from
///    Redis.
/// 5. If Redis loses its data, no ban is lifted: each process keeps the bans that it knows,
///    and reports the loss.
///
/// The clocks of the processes and of Redis should agree within a second.
///
/// ```
/// use std::sync::Arc;
///
/// use stockade_abuse::{AbusePolicy, Detector};
/// use stockade_redis::{Redis, RedisBans, RedisConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = Redis::connect(RedisConfig::new("redis://127.0.0.1")?)?;
/// let detector = Detector::builder(AbusePolicy::new())
///     .store(Arc::new(RedisBans::new(&redis)))
///     .build();
/// # Ok(())
/// # }
/// ```
pub struct RedisBans {
    shared: Arc<Shared>,
    redis: Redis,
    _task: AbortOnDrop,
}

/// The highest number of changes that wait to be written.
const MAX_UNWRITTEN: usize = 10_000;

#[derive(Default)]
struct Shared {
    unwritten: Mutex<HashMap<Offender, BanChange>>,
    listener: Mutex<Option<Arc<BanListener>>>,
    /// Wakes the task when there is work.
    wake: Notify,
}

impl RedisBans {
    /// Creates the ban store of this namespace.
    ///
    /// # Panics
    /// If called outside of a tokio runtime.
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
            tracing::error!(
                "too many changes are waiting to be written to Redis; a ban holds in this process only"
            );
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
