//! Permits shared by all processes.

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

/// The highest number of concurrent acquire calls, excluding queued requests.
const MAX_IN_FLIGHT: usize = 1_024;
/// The highest number of queued releases, and of failed ones. Further permits expire instead.
const MAX_RELEASES: usize = 65_536;
/// How long a permit lives without renewal.
const DEFAULT_TTL: Duration = Duration::from_secs(30);
const MIN_TTL: Duration = Duration::from_millis(300);

/// Grants permits shared by all processes of a namespace. Clones share their state.
///
/// 1. A permit is an entry with a deadline, by the server's clock. A task renews those of this
///    process every third of their lifetime, so that the permits of a crashed process expire
///    after it: 30 seconds by default.
/// 2. A dropped permit is released from a queue, without blocking. While Redis does not reply, the
///    release is repeated until the permit has expired.
/// 3. If Redis loses its data, permits are restored when they are renewed. Until then, more
///    requests may be in flight than the limit allows.
/// 4. Waiting requests are served in order within a process. A permit that another process
///    releases is noticed within 50 milliseconds, by whichever process polls first.
/// 5. Without a connection, no permits are granted.
///
/// ```
/// use std::num::NonZeroU32;
///
/// use stockade_rate_limit::{ConcurrencyLayer, ConcurrencyLimit, KeyExtractor};
/// use stockade_redis::{Redis, RedisConfig, RedisPermits};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = Redis::connect(RedisConfig::new("redis://127.0.0.1")?)?;
/// let four = NonZeroU32::new(4).expect("4 is not 0");
/// let limit = ConcurrencyLimit::new("key", KeyExtractor::principal(), four);
/// let layer = ConcurrencyLayer::with_store([limit], RedisPermits::new(&redis));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisPermits(Arc<Shared>);

struct Shared {
    redis: Redis,
    ttl: Duration,
    /// Makes the ids unique to this process.
    node: String,
    next: AtomicU64,
    live: Mutex<HashMap<u64, Arc<HeldPermit>>>,
    releases: mpsc::Sender<Arc<HeldPermit>>,
    lost: AtomicU64,
    in_flight: Semaphore,
    queues: Queues,
    /// Notified when permits were released.
    freed: Arc<Notify>,
}

/// The entries of one permit.
struct HeldPermit {
    id: String,
    keys: Box<[String]>,
}

impl RedisPermits {
    /// Creates a store whose permits expire 30 seconds after their process has crashed.
    ///
    /// # Panics
    /// If called outside of a tokio runtime.
    pub fn new(redis: &Redis) -> Self {
        Self::with_ttl(redis, DEFAULT_TTL)
    }

    /// Creates a store whose permits expire after this time without renewal; at least 300
    /// milliseconds.
    ///
    /// # Panics
    /// If called outside of a tokio runtime.
    pub fn with_ttl(redis: &Redis, ttl: Duration) -> Self {
        let (releases, queue) = mpsc::channel(MAX_RELEASES);
        let mut node = [0; 8];
        getrandom::fill(&mut node).expect("the system provides random numbers");
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
        // Ends with the last permit and the store.
        tokio::spawn(PermitRenewer::new(&shared, queue).run());
        Self(shared)
    }

    /// The statistics, for metrics.
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
    /// Makes a single attempt.
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
        // From here on, there may be an entry in Redis, whatever the reply.
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
            .field("ttl", &self.0.ttl)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// The statistics of [`RedisPermits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisPermitsStats {
    /// Permits that this process holds.
    pub live: usize,
    /// Requests of this process that wait for a permit.
    pub waiting: usize,
    /// Permits in total that could not be released and expired instead.
    pub lost: u64,
}

/// The permits of one request; released on drop.
pub struct RedisPermit {
    shared: Arc<Shared>,
    number: u64,
    held: Option<Arc<HeldPermit>>,
}

impl RedisPermit {
    /// Drops the permit without a release.
    fn forget(mut self) {
        self.held = None;
    }
}

impl Drop for RedisPermit {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else {
            return;
        };
        // Removed first, so that it is not renewed any more.
        self.shared.live().remove(&self.number);
        if self.shared.releases.try_send(held).is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for RedisPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let permits = self.held.as_ref().map_or(0, |held| held.keys.len());
        f.debug_struct("RedisPermit")
            .field("permits", &permits)
            .finish_non_exhaustive()
    }
}
