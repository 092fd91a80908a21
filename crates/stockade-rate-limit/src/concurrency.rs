//! The guard of requests at once.

mod fields;
mod limit;
mod rules;
mod stats;
mod wait;

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};
use stockade_core::guard::{Check, Guard, Head, ResponseHook};

use rules::{OwnPolicy, Places, Rules};
use stats::Counted;

use crate::{MemoryPermits, PermitReply, PermitRequest, PermitStore, QueueTimeout, fields::POLICY};

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
/// // The first response still has its body, and so its place.
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
    rules: Arc<Rules>,
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
            rules: Arc::new(Rules::new(limits)),
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
        self.rules.counters.read()
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
        places: &[PermitRequest<'_>],
    ) -> Check<ConcurrencyHook<P::Permit>, ConcurrencyWait<P>> {
        let policy = self.rules.own_policy(places);
        match self.store.acquire(places, self.queue_timeout) {
            PermitReply::Ready(Ok(permit)) => {
                Check::Pass(ConcurrencyHook::new(permit, policy, &self.rules))
            }
            PermitReply::Ready(Err(none)) => {
                let asked = self.rules.asked(places);
                Check::Refuse(self.rules.refusal(&none, &asked, &policy))
            }
            PermitReply::Wait(wait) => {
                let asked = self.rules.asked(places);
                Check::Wait(ConcurrencyWait::new(wait, asked, policy, &self.rules))
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
        if let Some(limit) = self.rules.only() {
            return match limit.permit_request(head) {
                Ok(Some(place)) => self.enter(&[place]),
                Ok(None) => Check::Pass(ConcurrencyHook::uncounted()),
                Err(missing) => Check::Refuse(missing.refusal()),
            };
        }
        let mut places = Places::new();
        match self.rules.places(head, &mut places) {
            Ok(()) if places.is_empty() => Check::Pass(ConcurrencyHook::uncounted()),
            Ok(()) => self.enter(&places),
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
            .field("rules", &self.rules)
            .field("patience", &self.queue_timeout)
            .finish_non_exhaustive()
    }
}

/// The permit of a request, until its response body has ended.
#[derive(Debug)]
pub struct ConcurrencyHook<P>(Option<Permitted<P>>);

#[derive(Debug)]
struct Permitted<P> {
    // Freed before the gauge goes down.
    _permit: P,
    in_use: Counted,
    policy: OwnPolicy,
}

impl<P> ConcurrencyHook<P> {
    fn new(permit: P, policy: OwnPolicy, rules: &Arc<Rules>) -> Self {
        Self(Some(Permitted {
            _permit: permit,
            in_use: Counted::admitted(rules),
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
            let rules = permitted.in_use.rules();
            headers.append(POLICY, rules.policy(&permitted.policy));
        }
    }
}
