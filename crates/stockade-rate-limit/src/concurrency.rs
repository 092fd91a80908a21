//! The guard of requests at once.

mod headers;
mod limit;
mod limit_set;
mod stats;
mod wait;

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};
use stockade_core::guard::{Check, Guard, Head, ResponseHook};

use limit_set::{LimitSet, PermitRequests, PolicyOverride};
use stats::GaugeGuard;

use crate::{
    MemoryPermits, PermitReply, PermitRequest, PermitStore, QueueTimeout, headers::RATELIMIT_POLICY,
};

pub use limit::ConcurrencyLimit;
pub use stats::ConcurrencyStats;
pub use wait::ConcurrencyWait;

/// Lets so many requests run at once, each until its response body has ended.
///
/// A request takes a place in each of the limits, or in none. Its places are freed once,
/// when the body has ended or failed, the handler failed or panicked, or the client left.
///
/// Whoever finds a place full gets a 429 `CONCURRENCY_LIMIT`, or a 503 `OVERLOADED` where
/// the limit is the [server's](ConcurrencyLimit::overload). Nothing waits, unless
/// [`queue`](Self::queue) says so. A store that does not answer is a 503, never an open door.
///
/// Clients are told their limits in `RateLimit-Policy`, in the unit `concurrent-requests`,
/// and in `RateLimit` which of them is full.
///
/// ```
/// use std::{convert::Infallible, num::NonZeroU32};
///
/// use bytes::Bytes;
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use stockade_core::{guard::Guard, identity::Principal};
/// use stockade_rate_limit::{KeyExtractor, Concurrency, ConcurrencyLimit};
/// use tower::{ServiceBuilder, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// const ONE: NonZeroU32 = NonZeroU32::new(1).unwrap();
/// const MANY: NonZeroU32 = NonZeroU32::new(500).unwrap();
/// let guard = Concurrency::new([
///     ConcurrencyLimit::new("server", KeyExtractor::global(), MANY).overload(),
///     ConcurrencyLimit::new("key", KeyExtractor::principal(), ONE),
/// ]);
/// let service = ServiceBuilder::new()
///     .layer(guard.into_layer())
///     .service_fn(|_: Request<()>| async {
///         Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("a stream")))
///     });
///
/// // What an authenticator would have found out:
/// let key = Principal::builder("key").build();
/// let request = || Request::builder().extension(key.clone()).body(());
///
/// // The first response still has its body, and so its request.
/// let first = service.clone().oneshot(request()?).await?;
/// assert_eq!(first.status(), StatusCode::OK);
/// let second = service.clone().oneshot(request()?).await?;
/// assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
///
/// drop(first);
/// assert_eq!(service.oneshot(request()?).await?.status(), StatusCode::OK);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Concurrency<P = MemoryPermits> {
    limits: Arc<LimitSet>,
    store: P,
    queue_timeout: Option<QueueTimeout>,
}

impl Concurrency {
    /// A guard of these limits in this process.
    pub fn new(limits: impl IntoIterator<Item = ConcurrencyLimit>) -> Self {
        Self::with_store(limits, MemoryPermits::new())
    }
}

impl<P> Concurrency<P> {
    /// A guard of these limits whose places are in this store.
    pub fn with_store(limits: impl IntoIterator<Item = ConcurrencyLimit>, store: P) -> Self {
        Self {
            limits: Arc::new(LimitSet::new(limits)),
            store,
            queue_timeout: None,
        }
    }

    /// Lets a request that finds a place full wait for it so long at most, first come,
    /// first served for each subject. Where so many requests wait already, it is refused at
    /// once.
    ///
    /// Whoever waits keeps its connection and the unread body. Needs tokio's timer.
    pub fn queue(mut self, timeout: Duration, max_waiters: usize) -> Self {
        self.queue_timeout = Some(QueueTimeout {
            timeout,
            max_waiters,
        });
        self
    }

    /// What the guard has seen so far.
    pub fn stats(&self) -> ConcurrencyStats {
        self.limits.counters.read()
    }

    /// The store.
    pub fn store(&self) -> &P {
        &self.store
    }
}

impl<P> Concurrency<P>
where
    P: PermitStore,
{
    /// Asks for the places that a request needs.
    fn enter(
        &self,
        requests: &[PermitRequest<'_>],
    ) -> Check<ConcurrencyHook<P::Permit>, ConcurrencyWait<P>> {
        let policy = self.limits.policy_override(requests);
        match self.store.acquire(requests, self.queue_timeout) {
            PermitReply::Ready(Ok(permit)) => {
                Check::Pass(ConcurrencyHook::new(permit, policy, &self.limits))
            }
            PermitReply::Ready(Err(error)) => {
                let requested = self.limits.requested(requests);
                Check::Refuse(self.limits.refusal(&error, &requested, &policy))
            }
            PermitReply::Wait(wait) => {
                let requested = self.limits.requested(requests);
                Check::Wait(ConcurrencyWait::new(wait, requested, policy, &self.limits))
            }
        }
    }
}

impl<P> Guard for Concurrency<P>
where
    P: PermitStore,
{
    const NAME: &'static str = "concurrency";
    type Pass = ConcurrencyHook<P::Permit>;
    type Hook = ConcurrencyHook<P::Permit>;
    type Wait = ConcurrencyWait<P>;

    fn check(&self, head: &Head) -> Check<Self::Pass, Self::Wait> {
        // One limit is the usual case, and its place needs no list.
        if let Some(limit) = self.limits.single() {
            return match limit.permit_request(head) {
                Ok(Some(request)) => self.enter(&[request]),
                Ok(None) => Check::Pass(ConcurrencyHook::uncounted()),
                Err(missing) => Check::Refuse(missing.refusal()),
            };
        }
        let mut requests = PermitRequests::new();
        match self.limits.requests(head, &mut requests) {
            Ok(()) if requests.is_empty() => Check::Pass(ConcurrencyHook::uncounted()),
            Ok(()) => self.enter(&requests),
            Err(missing) => Check::Refuse(missing.refusal()),
        }
    }

    fn admit(&self, pass: Self::Pass, _head: &mut Head) -> Self::Hook {
        pass
    }
}

impl<P> fmt::Debug for Concurrency<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Concurrency")
            .field("limits", &self.limits)
            .field("patience", &self.queue_timeout)
            .finish_non_exhaustive()
    }
}

/// The permit of a request, until its response body has ended.
#[derive(Debug)]
pub struct ConcurrencyHook<P>(Option<Held<P>>);

#[derive(Debug)]
struct Held<P> {
    // Freed before the gauge goes down.
    _permit: P,
    in_use: GaugeGuard,
    policy: PolicyOverride,
}

impl<P> ConcurrencyHook<P> {
    fn new(permit: P, policy: PolicyOverride, limits: &Arc<LimitSet>) -> Self {
        Self(Some(Held {
            _permit: permit,
            in_use: GaugeGuard::admitted(limits),
            policy,
        }))
    }

    /// No limit counts the request.
    fn uncounted() -> Self {
        Self(None)
    }
}

impl<P> ResponseHook for ConcurrencyHook<P> {
    fn on_response(&mut self, _status: StatusCode, headers: &mut HeaderMap) {
        if let Some(permitted) = &self.0 {
            let limits = permitted.in_use.limits();
            headers.append(RATELIMIT_POLICY, limits.policy(&permitted.policy));
        }
    }
}
