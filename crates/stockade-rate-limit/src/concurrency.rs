//! The concurrency guard.

mod headers;
mod layer;
mod limit;
mod limit_set;
mod stats;
mod wait;

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};
use stockade_core::guard::{Check, Guard, Head, ResponseHook};

use limit_set::{LimitSet, PermitRequests, PolicyOverride};
use stats::InUse;

use crate::{
    MemoryPermits, PermitReply, PermitRequest, PermitStore, QueueTimeout, headers::write_policy,
};

pub use layer::ConcurrencyLayer;
pub use limit::ConcurrencyLimit;
pub use stats::ConcurrencyStats;
pub use wait::ConcurrencyWait;

/// Limits requests in flight; each counts until its response body has ended.
///
/// A request acquires one permit for each limit, or none. Its permits are released once: when
/// the body has ended or failed, the handler failed or panicked, or the client disconnected.
///
/// If a limit is full, the response is a 429 `CONCURRENCY_LIMIT`, or a 503 `OVERLOADED` if the
/// limit protects the [server](ConcurrencyLimit::overload). Requests only wait if
/// [`queue`](Self::queue) is set. If the store fails, the response is a 503.
///
/// `RateLimit-Policy` describes the limits in the unit `concurrent-requests`; in a refusal,
/// `RateLimit` names the limit that is full.
///
/// ```
/// use std::{convert::Infallible, num::NonZeroU32};
///
/// use bytes::Bytes;
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use stockade_core::{context::RequestContext, identity::Principal};
/// use stockade_rate_limit::{ConcurrencyLayer, ConcurrencyLimit, KeyExtractor};
/// use tower::{ServiceBuilder, ServiceExt};
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     const ONE: NonZeroU32 = NonZeroU32::new(1).unwrap();
///     const MANY: NonZeroU32 = NonZeroU32::new(500).unwrap();
///     let layer = ConcurrencyLayer::new([
///         ConcurrencyLimit::new("server", KeyExtractor::global(), MANY).overload(),
///         ConcurrencyLimit::new("key", KeyExtractor::principal(), ONE),
///     ]);
///     let service = ServiceBuilder::new()
///         .layer(layer)
///         .service_fn(|_: Request<()>| async {
///             Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("a stream")))
///         });
///
///     // An authentication layer would set the principal.
///     let key = Principal::builder("key").build();
///     let context = || RequestContext::builder().principal(key.clone()).build();
///     let request = || Request::builder().extension(context()).body(());
///
///     // The first response still has its body, and so its permit.
///     let first = service.clone().oneshot(request()?).await?;
///     assert_eq!(first.status(), StatusCode::OK);
///     let second = service.clone().oneshot(request()?).await?;
///     assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
///
///     drop(first);
///     assert_eq!(service.oneshot(request()?).await?.status(), StatusCode::OK);
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Concurrency<P = MemoryPermits> {
    limits: Arc<LimitSet>,
    store: P,
    queue_timeout: Option<QueueTimeout>,
}

impl Concurrency {
    /// Creates a guard that counts in the memory of this process.
    pub fn new(limits: impl IntoIterator<Item = ConcurrencyLimit>) -> Self {
        Self::with_store(limits, MemoryPermits::new())
    }
}

impl<P> Concurrency<P> {
    /// Creates a guard that counts in this store.
    pub fn with_store(limits: impl IntoIterator<Item = ConcurrencyLimit>, store: P) -> Self {
        Self {
            limits: Arc::new(LimitSet::new(limits)),
            store,
            queue_timeout: None,
        }
    }

    /// Lets requests wait up to `timeout` for a permit, first come, first served per key. At
    /// most `max_waiters` requests wait; further requests are refused immediately.
    ///
    /// A waiting request keeps its connection and its unread body. Needs tokio's timer.
    pub fn queue(mut self, timeout: Duration, max_waiters: usize) -> Self {
        self.queue_timeout = Some(QueueTimeout::new(timeout, max_waiters));
        self
    }

    /// The statistics of this guard.
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
    /// Acquires the permits of a request.
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
        // One limit is the common case and needs no list.
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

/// Holds the permits of a request until its response body has ended.
#[derive(Debug)]
pub struct ConcurrencyHook<P>(Option<Held<P>>);

#[derive(Debug)]
struct Held<P> {
    // Released before the gauge is decremented.
    _permit: P,
    in_use: InUse,
    policy: PolicyOverride,
}

impl<P> ConcurrencyHook<P> {
    fn new(permit: P, policy: PolicyOverride, limits: &Arc<LimitSet>) -> Self {
        Self(Some(Held {
            _permit: permit,
            in_use: InUse::new(limits),
            policy,
        }))
    }

    /// The request is not counted by any limit.
    fn uncounted() -> Self {
        Self(None)
    }
}

impl<P> ResponseHook for ConcurrencyHook<P>
where
    P: Send,
{
    fn on_response(&mut self, _status: StatusCode, headers: &mut HeaderMap) {
        if let Some(permitted) = &self.0 {
            let limits = permitted.in_use.limits();
            write_policy(headers, limits.policy(&permitted.policy));
        }
    }
}
