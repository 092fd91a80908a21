//! A limiter of the `governor` crate as a store.

use std::{
    fmt,
    hash::Hash,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use governor::{
    InsufficientCapacity, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::{DefaultKeyedStateStore, KeyedStateStore},
};

use crate::{
    Algorithm, Bucket, Decision, LimitStore, NoWait, Quota, QuotaStatus, RateKey, StoreError,
    StoreErrorKind, StoreReply,
};

/// Counts in a keyed limiter of the [`governor`] crate, for programs that already have one.
/// Clones share it.
///
/// The limiter can be used elsewhere, too: both count the same keys. Use it with one
/// [`Limit`](crate::Limit) that has the quota of the limiter. Everything else needs the
/// [`MemoryLimitStore`](crate::MemoryLimitStore):
///
/// - **One quota per request.** The limiter decides about one key at a time, so that several
///   quotas cannot be debited together or not at all.
/// - **The quota of the limiter.** It applies to all keys and never changes: no sliding windows,
///   no overrides for principals, no other quotas after a reload.
/// - **No settlement.** Use no [`TokenBudget`](crate::TokenBudget) with this store: nothing can be
///   refunded or debited in excess. [`lost_settlements`](Self::lost_settlements) counts the
///   attempts.
/// - **No free requests.** A cost of 0 cannot be checked.
/// - **No bound on memory.** The limiter keeps each key until the program calls
///   [`RateLimiter::retain_recent`], so call it periodically: clients choose the number of keys.
///
/// What the store cannot count is an error of the kind [`StoreErrorKind::Unsupported`], and the
/// request gets a 503. Do not wrap the store in a [`Fallback`](crate::Fallback), which would hide
/// that. That the quotas differ shows only with the first request of a key.
///
/// ```
/// use std::{convert::Infallible, net::SocketAddr, num::NonZeroU32, sync::Arc};
///
/// use bytes::Bytes;
/// use governor::{RateLimiter, middleware::StateInformationMiddleware};
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use stockade_core::client::PeerAddr;
/// use stockade_rate_limit::{
///     GovernorLimitStore, KeyExtractor, Limit, Limits, Quota, RateLimitLayer,
/// };
/// use tower::{ServiceBuilder, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let quota = governor::Quota::per_hour(NonZeroU32::new(2).unwrap());
/// let limiter = RateLimiter::keyed(quota).with_middleware::<StateInformationMiddleware>();
/// let limiter = Arc::new(limiter);
///
/// let store = GovernorLimitStore::new(Arc::clone(&limiter), |key| key.text().into_owned());
/// let limit = Limit::new("ip", KeyExtractor::client_ip()).quota(Quota::per_hour(2));
/// let service = ServiceBuilder::new()
///     .layer(RateLimitLayer::with_store(Limits::new([limit])?, store))
///     .service_fn(|_: Request<Full<Bytes>>| async {
///         Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
///     });
/// let request = || {
///     let peer = PeerAddr::from(SocketAddr::from(([203, 0, 113, 7], 4711)));
///     Request::builder().extension(peer).body(Full::default())
/// };
///
/// // One request is counted elsewhere, one by the layer.
/// assert!(limiter.check_key(&"ip:203.0.113.7/32".to_owned()).is_ok());
/// let passed = service.clone().oneshot(request()?).await?;
/// assert_eq!(passed.headers()["ratelimit"], "\"ip\";r=0;t=3600");
///
/// let refused = service.oneshot(request()?).await?;
/// assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
/// # Ok(())
/// # }
/// ```
pub struct GovernorLimitStore<K, S = DefaultKeyedStateStore<K>, C = DefaultClock>
where
    S: KeyedStateStore<K>,
    K: Hash,
    C: Clock,
{
    limiter: Arc<Limiter<K, S, C>>,
    key: Arc<KeyFn<K>>,
    lost_settlements: Arc<AtomicU64>,
}

type Limiter<K, S, C> = RateLimiter<K, S, C, StateInformationMiddleware>;
type KeyFn<K> = dyn Fn(&RateKey<'_>) -> K + Send + Sync;

impl<K, S, C> GovernorLimitStore<K, S, C>
where
    S: KeyedStateStore<K>,
    K: Hash,
    C: Clock,
{
    /// Creates a store that counts in this limiter, or in an [`Arc`] of it.
    ///
    /// `key` returns the limiter's key: [`RateKey::text`], or [`RateKey::client_ip`] for a limiter
    /// by address.
    pub fn new(
        limiter: impl Into<Arc<RateLimiter<K, S, C, StateInformationMiddleware>>>,
        key: impl Fn(&RateKey<'_>) -> K + Send + Sync + 'static,
    ) -> Self {
        Self {
            limiter: limiter.into(),
            key: Arc::new(key),
            lost_settlements: Arc::default(),
        }
    }

    /// The limiter.
    pub fn limiter(&self) -> &Arc<RateLimiter<K, S, C, StateInformationMiddleware>> {
        &self.limiter
    }

    /// The number of calls of [`LimitStore::settle`], none of which had an effect.
    pub fn lost_settlements(&self) -> u64 {
        self.lost_settlements.load(Ordering::Relaxed)
    }

    fn decide(&self, bucket: &Bucket<'_>) -> Result<QuotaStatus, StoreError> {
        let quota = bucket.quota();
        if quota.algorithm() != Algorithm::Gcra {
            return Err(unsupported("a limiter of governor has no sliding windows"));
        }
        let Some(cost) = NonZeroU32::new(bucket.cost()) else {
            return Err(unsupported(
                "a limiter of governor cannot check a cost of 0",
            ));
        };
        match self.limiter.check_key_n(&(self.key)(&bucket.key()), cost) {
            Ok(Ok(after)) => {
                check_quota(quota, after.quota())?;
                Ok(allowed(quota, after.remaining_burst_capacity()))
            }
            Ok(Err(refused)) => {
                check_quota(quota, refused.quota())?;
                let wait = refused.wait_time_from(self.limiter.clock().now());
                Ok(refuses(quota, cost, wait))
            }
            Err(InsufficientCapacity(burst)) if burst == quota.max_burst() => {
                // The state is unknown, so that the bucket is reported as empty.
                Ok(QuotaStatus::never(0, quota.tolerance_nanos()))
            }
            Err(InsufficientCapacity(_)) => Err(another_quota()),
        }
    }
}

/// governor reports the whole requests that are left, but not the fraction of an interval.
fn allowed(quota: Quota, remaining: u32) -> QuotaStatus {
    let used = u64::from(quota.max_burst().saturating_sub(remaining));
    QuotaStatus::from_nanos(remaining, used * quota.interval_nanos(), 0)
}

fn refuses(quota: Quota, cost: NonZeroU32, wait: Duration) -> QuotaStatus {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    // The time may have passed since the decision.
    let wait = nanos(wait).max(1);
    let price = u64::from(cost.get()) * quota.interval_nanos();
    let debt = (quota.tolerance_nanos() - price).saturating_add(wait);
    // At most the cost, which is a u32.
    let remaining = (price.saturating_sub(wait) / quota.interval_nanos()) as u32;
    QuotaStatus::from_nanos(remaining, debt, wait)
}

/// governor rounds the interval down, and [`Quota`] rounds it up.
fn check_quota(ours: Quota, theirs: governor::Quota) -> Result<(), StoreError> {
    let interval = ours.interval().abs_diff(theirs.replenish_interval());
    let burst = theirs.burst_size().get();
    match interval <= Duration::from_nanos(1) && burst == ours.max_burst() {
        true => Ok(()),
        false => Err(another_quota()),
    }
}

fn another_quota() -> StoreError {
    unsupported("the limiter of governor has another quota")
}

fn unsupported(cause: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Unsupported).with_source(cause)
}

impl<K, S, C> LimitStore for GovernorLimitStore<K, S, C>
where
    K: Hash + Send + Sync + 'static,
    S: KeyedStateStore<K> + Send + Sync + 'static,
    C: Clock + Send + Sync + 'static,
    C::Instant: Send + Sync,
{
    type Wait = NoWait;

    fn take(&self, buckets: &[Bucket<'_>]) -> StoreReply<NoWait> {
        StoreReply::Ready(match buckets {
            [] => Ok(Decision::uncounted()),
            [bucket] => self.decide(bucket).map(Decision::one),
            _ => Err(unsupported(
                "a limiter of governor cannot debit several quotas together",
            )),
        })
    }

    fn settle(&self, _bucket: &Bucket<'_>, _delta: i64) {
        self.lost_settlements.fetch_add(1, Ordering::Relaxed);
    }
}

impl<K, S, C> Clone for GovernorLimitStore<K, S, C>
where
    S: KeyedStateStore<K>,
    K: Hash,
    C: Clock,
{
    fn clone(&self) -> Self {
        Self {
            limiter: Arc::clone(&self.limiter),
            key: Arc::clone(&self.key),
            lost_settlements: Arc::clone(&self.lost_settlements),
        }
    }
}

impl<K, S, C> fmt::Debug for GovernorLimitStore<K, S, C>
where
    S: KeyedStateStore<K>,
    K: Hash,
    C: Clock,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GovernorLimitStore")
            .field("lost_settlements", &self.lost_settlements())
            .finish_non_exhaustive()
    }
}
