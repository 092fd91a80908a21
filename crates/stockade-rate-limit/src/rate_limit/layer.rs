//! The tower layer.

use std::fmt;

use stockade_core::{
    guard::{GuardLayer, Guarded},
    refusal::Responder,
};
use tower_layer::Layer;

use super::RateLimit;
use crate::{LimitStore, MemoryLimitStore, SharedLimits};

/// The tower layer of a [`RateLimit`], with its options.
///
/// ```
/// use std::{convert::Infallible, net::SocketAddr};
///
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use stockade_core::client::PeerAddr;
/// use stockade_rate_limit::{KeyExtractor, Limit, Limits, Quota, RateLimitLayer};
/// use tower::{ServiceBuilder, ServiceExt};
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let limit = Limit::new("ip", KeyExtractor::client_ip()).quota(Quota::per_minute(1));
///     let service = ServiceBuilder::new()
///         .layer(RateLimitLayer::new(Limits::new([limit])?).x_ratelimit_headers())
///         .service_fn(|_: Request<Full<Bytes>>| async {
///             Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
///         });
///
///     let peer = PeerAddr::from(SocketAddr::from(([203, 0, 113, 7], 4711)));
///     let request = || Request::builder().extension(peer).body(Full::default());
///     let passed = service.clone().oneshot(request()?).await?;
///     assert_eq!(passed.headers()["x-ratelimit-remaining"], "0");
///     assert_eq!(service.oneshot(request()?).await?.status(), 429);
///     Ok(())
/// }
/// ```
pub struct RateLimitLayer<S = MemoryLimitStore>(GuardLayer<RateLimit<S>>);

impl RateLimitLayer {
    /// Creates a layer that counts in the memory of this process.
    pub fn new(limits: impl Into<SharedLimits>) -> Self {
        Self::from(RateLimit::new(limits))
    }
}

impl<S> RateLimitLayer<S>
where
    S: LimitStore,
{
    /// Creates a layer that counts in this store.
    pub fn with_store(limits: impl Into<SharedLimits>, store: S) -> Self {
        Self::from(RateLimit::with_store(limits, store))
    }
}

impl<S> RateLimitLayer<S>
where
    S: LimitStore + Clone,
{
    /// See [`RateLimit::x_ratelimit_headers`].
    pub fn x_ratelimit_headers(self) -> Self {
        Self(self.0.map(RateLimit::x_ratelimit_headers))
    }

    /// See [`RateLimit::x_ratelimit_epoch_headers`].
    pub fn x_ratelimit_epoch_headers(self) -> Self {
        Self(self.0.map(RateLimit::x_ratelimit_epoch_headers))
    }

    /// See [`RateLimit::openai_headers`].
    pub fn openai_headers(self) -> Self {
        Self(self.0.map(RateLimit::openai_headers))
    }

    /// Sends refusals with this responder.
    pub fn responder(self, responder: Responder) -> Self {
        Self(self.0.responder(responder))
    }
}

impl<S> From<RateLimit<S>> for RateLimitLayer<S>
where
    S: LimitStore,
{
    fn from(guard: RateLimit<S>) -> Self {
        Self(GuardLayer::new(guard))
    }
}

impl<S, I> Layer<I> for RateLimitLayer<S> {
    type Service = Guarded<I, RateLimit<S>>;

    fn layer(&self, inner: I) -> Self::Service {
        self.0.layer(inner)
    }
}

impl<S> Clone for RateLimitLayer<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> fmt::Debug for RateLimitLayer<S>
where
    S: LimitStore,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RateLimitLayer")
            .field(self.0.guard())
            .finish()
    }
}
