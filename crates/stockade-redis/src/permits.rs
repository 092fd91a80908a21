//! The permits of many processes.

mod queues;
mod renewer;
mod wait;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::Script;
use stockade_rate_limit::{
    AcquireError, PermitReply, PermitRequest, PermitStore, QueueTimeout, StoreError, StoreErrorKind,
};
use tokio::sync::{Notify, Semaphore, mpsc};

use crate::{Redis, error::CallError};
use queues::Queues;
use renewer::PermitRenewer;

pub use wait::RedisPermitWait;

static ACQUIRE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("permits/acquire.lua")));

/// The most requests that ask for a permit at once, those that wait for one left out.
const MAX_IN_FLIGHT: usize = 1_024;
/// The most permits that wait to be given back. One more lives until it expires.
const MAX_RELEASES: usize = 65_536;
/// How long a permit lives that nobody renews.
const DEFAULT_TTL: Duration = Duration::from_secs(30);
const MIN_TTL: Duration = Duration::from_millis(300);

/// Gives out places that all processes of a namespace share. Clones are one.
///
/// 1. A permit is an entry with a deadline, by the server's clock. One task renews those of
///    this process each third of that time, so the places of a process that died are free
///    again after it: 30 seconds, unless something else is said.
/// 2. A permit that is dropped goes back from a queue, and never waits. One that cannot go
///    back expires.
/// 3. Data that Redis has lost is put back as permits are renewed. Until then, more may run
///    at once than the limit says.
/// 4. Whoever waits for a place is served in order within this process. A place that another
///    process frees is seen within 50 milliseconds, by whichever process looks first.
/// 5. Without a connection nothing is given out.
#[derive(Clone)]
pub struct RedisPermits(Arc<Shared>);

struct Shared {
    redis: Redis,
    ttl: Duration,
    /// Makes this process's ids its own.
    node: String,
    next: AtomicU64,
    live: Mutex<HashMap<u64, Arc<HeldPermit>>>,
    releases: mpsc::Sender<Arc<HeldPermit>>,
    lost: AtomicU64,
    in_flight: Semaphore,
    queues: Queues,
    /// Told when places were given back.
    freed: Arc<Notify>,
}

/// The places of one permit.
struct HeldPermit {
    id: String,
    keys: Box<[String]>,
}

impl RedisPermits {
    /// Permits that live for 30 seconds when their process has died.
    ///
    /// # Panics
    /// When it is called outside of a tokio runtime.
    pub fn new(redis: &Redis) -> Self {
        Self::with_ttl(redis, DEFAULT_TTL)
    }

    /// Permits that live so long when their process has died; at least 300 milliseconds.
    ///
    /// # Panics
    /// When it is called outside of a tokio runtime.
    pub fn with_ttl(redis: &Redis, ttl: Duration) -> Self {
        let (releases, queue) = mpsc::channel(MAX_RELEASES);
        let mut node = [0; 8];
        getrandom::fill(&mut node).expect("the system has random numbers");
        let shared = Arc::new(Shared {
            redis: redis.clone(),
            ttl: ttl.max(MIN_TTL),
            node: format!("{:016x}", u64::from_be_bytes(node)),
            next: AtomicU64::new(0),
            live: Mutex::default(),
            releases,
            lost: AtomicU64::new(0),
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
            queues: Queues::default(),
            freed: Arc::default(),
        });
        // Ends with the last permit, and the store.
        tokio::spawn(PermitRenewer::new(&shared, queue).run());
        Self(shared)
    }

    /// What goes on, for metrics.
    pub fn stats(&self) -> RedisPermitsStats {
        RedisPermitsStats {
            live: self.0.live().len(),
            waiting: self.0.queues.waiting(),
            lost: self.0.lost.load(Ordering::Relaxed),
        }
    }
}

impl PermitStore for RedisPermits {
    type Permit = RedisPermit;
    type Wait = RedisPermitWait;

    fn acquire(
        &self,
        requests: &[PermitRequest<'_>],
        queue_timeout: Option<QueueTimeout>,
    ) -> PermitReply<RedisPermit, RedisPermitWait> {
        if requests.is_empty() {
            return PermitReply::Ready(Ok(RedisPermit {
                shared: Arc::clone(&self.0),
                number: 0,
                held: None,
            }));
        }
        let namespace = self.0.redis.namespace();
        let keys = requests
            .iter()
            .map(|request| namespace.rate_key("permits", request.limit(), &request.key()));
        let keys: Box<[String]> = keys.collect();
        let max: Box<[u32]> = requests.iter().map(|request| request.max().get()).collect();
        let shared = Arc::clone(&self.0);
        PermitReply::Wait(RedisPermitWait::new(async move {
            wait::acquire(&shared, &keys, &max, queue_timeout).await
        }))
    }
}

impl Shared {
    /// Asks once.
    async fn try_acquire(
        self: &Arc<Self>,
        keys: &[String],
        max: &[u32],
    ) -> Result<RedisPermit, AcquireError> {
        let _in_flight = self
            .in_flight
            .try_acquire()
            .map_err(|_| AcquireError::Store(StoreError::new(StoreErrorKind::Busy)))?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let held = Arc::new(HeldPermit {
            id: format!("{}-{number}", self.node),
            keys: keys.into(),
        });
        let mut call = ACQUIRE.prepare_invoke();
        for key in keys {
            call.key(key);
        }
        call.arg(&held.id).arg(millis(self.ttl));
        for max in max {
            call.arg(*max);
        }
        // From here on there may be a place in Redis, whatever becomes of the answer.
        let permit = RedisPermit {
            shared: Arc::clone(self),
            number,
            held: Some(held),
        };
        let full: Result<usize, CallError> = self.redis.link().run(&call).await;
        match full {
            Ok(0) => {
                if let Some(held) = &permit.held {
                    self.live().insert(number, Arc::clone(held));
                }
                Ok(permit)
            }
            Ok(full) => {
                permit.forget();
                Err(AcquireError::Full { index: full - 1 })
            }
            Err(failure) => Err(AcquireError::Store(failure.into())),
        }
    }

    fn live(&self) -> MutexGuard<'_, HashMap<u64, Arc<HeldPermit>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}

impl fmt::Debug for RedisPermits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisPermits")
            .field("redis", &self.0.redis)
            .field("life", &self.0.ttl)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// What [`RedisPermits`] have to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisPermitsStats {
    /// Permits of this process in use now.
    pub live: usize,
    /// Requests of this process that wait for a place now.
    pub waiting: usize,
    /// Permits that could not be given back, in all; they expired.
    pub lost: u64,
}

/// The places of one request; given back when this is dropped.
pub struct RedisPermit {
    shared: Arc<Shared>,
    number: u64,
    held: Option<Arc<HeldPermit>>,
}

impl RedisPermit {
    /// There is nothing to give back.
    fn forget(mut self) {
        self.held = None;
    }
}

impl Drop for RedisPermit {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else {
            return;
        };
        // First of all nobody renews it any more.
        self.shared.live().remove(&self.number);
        if self.shared.releases.try_send(held).is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for RedisPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = self.held.as_ref().map_or(0, |held| held.keys.len());
        f.debug_struct("RedisPermit")
            .field("places", &requests)
            .finish_non_exhaustive()
    }
}
