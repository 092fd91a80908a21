//! The tower layer.

use std::{fmt, time::Duration};

use stockade_core::{
    guard::{GuardLayer, Guarded},
    refusal::Responder,
};
use tower_layer::Layer;

use super::{Concurrency, ConcurrencyLimit, ConcurrencyStats};
use crate::{MemoryPermits, PermitStore};

/// The tower layer of a [`Concurrency`] guard, with its options.
///
/// ```
/// use std::{convert::Infallible, num::NonZeroU32, time::Duration};
///
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use stockade_rate_limit::{ConcurrencyLayer, ConcurrencyLimit, KeyExtractor};
/// use tower::{ServiceBuilder, ServiceExt};
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     const ONE: NonZeroU32 = NonZeroU32::new(1).unwrap();
///     let server = ConcurrencyLimit::new("server", KeyExtractor::global(), ONE).overload();
///     let service = ServiceBuilder::new()
///         .layer(ConcurrencyLayer::new([server]).queue(Duration::from_millis(10), 100))
///         .service_fn(|_: Request<()>| async {
///             Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("a stream")))
///         });
///
///     // The first response still has its body, and so its permit.
///     let first = service.clone().oneshot(Request::new(())).await?;
///     let second = service.clone().oneshot(Request::new(())).await?;
///     assert_eq!((first.status(), second.status()), (200.try_into()?, 503.try_into()?));
///
///     drop(first);
///     assert_eq!(service.oneshot(Request::new(())).await?.status(), 200);
///     Ok(())
/// }
/// ```
pub struct ConcurrencyLayer<P = MemoryPermits>(GuardLayer<Concurrency<P>>);

impl ConcurrencyLayer {
    /// Creates a layer that counts in the memory of this process.
    pub fn new(limits: impl IntoIterator<Item = ConcurrencyLimit>) -> Self {
        Self::from(Concurrency::new(limits))
    }
}

impl<P> ConcurrencyLayer<P>
where
    P: PermitStore,
{
    /// Creates a layer that counts in this store.
    pub fn with_store(limits: impl IntoIterator<Item = ConcurrencyLimit>, store: P) -> Self {
        Self::from(Concurrency::with_store(limits, store))
    }

    /// See [`Concurrency::stats`].
    pub fn stats(&self) -> ConcurrencyStats {
        self.0.guard().stats()
    }
}

impl<P> ConcurrencyLayer<P>
where
    P: PermitStore + Clone,
{
    /// See [`Concurrency::queue`].
    pub fn queue(self, timeout: Duration, max_waiters: usize) -> Self {
        Self(self.0.map(|guard| guard.queue(timeout, max_waiters)))
    }

    /// Sends refusals with this responder.
    pub fn responder(self, responder: Responder) -> Self {
        Self(self.0.responder(responder))
    }
}

impl<P> From<Concurrency<P>> for ConcurrencyLayer<P>
where
    P: PermitStore,
{
    fn from(guard: Concurrency<P>) -> Self {
        Self(GuardLayer::new(guard))
    }
}

impl<P, I> Layer<I> for ConcurrencyLayer<P> {
    type Service = Guarded<I, Concurrency<P>>;

    fn layer(&self, inner: I) -> Self::Service {
        self.0.layer(inner)
    }
}

impl<P> Clone for ConcurrencyLayer<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P> fmt::Debug for ConcurrencyLayer<P>
where
    P: PermitStore,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConcurrencyLayer")
            .field(self.0.guard())
            .finish()
    }
}
