//! Rate limits, concurrency limits and token budgets as tower layers: stacked quotas by
//! address, key, route, model or any other property of a request.
//!
//! ```sh
//! cargo add stockade-rate-limit
//! ```
//!
//! # Rules
//! 1. A [`Quota`] is a number of requests per period: `Quota::per_minute(60).burst(10)`, or
//!    the text `60/minute burst 10`. It is counted by GCRA, or as a sliding window
//!    ([`Quota::sliding`]). Invalid quotas are rejected when they are parsed, with the reason.
//! 2. A [`Limit`] has a [`KeyExtractor`] and one or more quotas. All quotas of a request are
//!    checked first; then all are debited or none. A refused request is not debited.
//! 3. Use one [`RateLimitLayer`] by address before authentication, so that guessing keys is
//!    limited, and one by principal after it. A principal's own quotas replace those of the
//!    limit.
//! 4. Every request has a key. Anonymous requests are counted by address; requests without a
//!    route or model share one bucket; if the client address is unknown, the response is a
//!    500.
//! 5. A refused request gets a 429 with a `Retry-After` of at least 1, after which a retry
//!    succeeds. `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11)
//!    are sent on every response for quotas of requests with a period of whole seconds; legacy
//!    headers and headers for model tokens are opt-in.
//! 6. The memory of a [`MemoryLimitStore`] is bounded. When it is full, the key with the
//!    lowest debt is evicted, and its debt is kept as a floor: eviction never refills a quota.
//! 7. A store shared by several processes ([`LimitStore`]) decides atomically. Its
//!    [`FailurePolicy`] has to be chosen, and its state is visible ([`Fallback::health`]).
//! 8. A [`ConcurrencyLayer`] limits requests in flight. A permit is held until the response
//!    body has ended, failed or was dropped, and is released once.
//! 9. A [`TokenBudgetLayer`] reserves the tokens that a request may use, and settles the actual
//!    usage once, however the request ends. A response that uses more can be ended as soon as the
//!    budget is used up ([`ReservedTokens`]).
//!
//! The layers are made of guards ([`RateLimit`], [`Concurrency`], [`TokenBudget`]), for programs
//! that compose guards themselves.
//!
//! # Before you deploy
//! - Clients are identified by [`ClientIp`](stockade_core::client::ClientIp). Behind a proxy,
//!   add a [`ContextLayer`](stockade_core::context::ContextLayer) that trusts it as the
//!   outermost layer; otherwise all clients share one address.
//! - The memory store counts per process: two replicas allow twice as much.
//! - State is stored under the name of a limit and the period of its quota. Counts, bursts and
//!   costs can change while requests are in flight ([`SharedLimits`]).
//! - [`Fallback`], [`ConcurrencyLayer::queue`] and remote stores need tokio's timer; everything
//!   else is runtime-agnostic.
//!
//! # Compared with governor
//! The token bucket decides as [`governor`](https://docs.rs/governor) does; a property test keeps
//! both equal. The stores differ:
//!
//! | | [`MemoryLimitStore`] | governor's keyed limiter |
//! |---|---|---|
//! | several quotas of a request | debited together or not at all | one quota per limiter |
//! | token budgets | debited or refunded after the response | not possible |
//! | overrides per principal, reload | yes | one fixed quota |
//! | memory | fixed: 23.2 bytes per client | grows with clients until `retain_recent` is called |
//! | decision at a million clients | 0.56 of governor's time | 1 |
//!
//! The [benchmarks](https://github.com/stockade-rs/stockade/blob/main/benches/README.md) have these
//! figures.
//!
//! # Features
//! None is enabled by default.
//!
//! | feature | provides |
//! |---|---|
//! | `governor` | `GovernorLimitStore`: counts in a limiter of governor that the program already has |
//!
//! # Examples
//! ```toml
//! [dependencies]
//! bytes = "1"
//! http = "1"
//! http-body-util = "0.1"
//! stockade-core = "0.1"
//! stockade-rate-limit = "0.1"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! tower = { version = "0.5", features = ["util"] }
//! ```
//!
//! Two requests per hour from each address:
//!
//! ```
//! use std::{convert::Infallible, net::SocketAddr};
//!
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use stockade_core::client::PeerAddr;
//! use stockade_rate_limit::{KeyExtractor, Limit, Limits, Quota, RateLimitLayer};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let limit = Limit::new("ip", KeyExtractor::client_ip()).quota(Quota::per_hour(2));
//!     let service = ServiceBuilder::new()
//!         .layer(RateLimitLayer::new(Limits::new([limit])?))
//!         .service_fn(|_: Request<Full<Bytes>>| async {
//!             Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
//!         });
//!
//!     let request = || {
//!         let peer = PeerAddr::from(SocketAddr::from(([203, 0, 113, 7], 4711)));
//!         Request::builder().extension(peer).body(Full::default())
//!     };
//!     for left in ["\"ip\";r=1;t=1800", "\"ip\";r=0;t=3600"] {
//!         let passed = service.clone().oneshot(request()?).await?;
//!         assert_eq!(passed.status(), StatusCode::OK);
//!         assert_eq!(passed.headers()["ratelimit-policy"], "\"ip\";q=2;w=3600");
//!         assert_eq!(passed.headers()["ratelimit"], left);
//!     }
//!
//!     let refused = service.oneshot(request()?).await?;
//!     assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
//!     assert_eq!(refused.headers()["retry-after"], "1800");
//!     Ok(())
//! }
//! ```
//!
//! Several limits in one layer, parsed from text, with the headers that OpenAI's clients read:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use stockade_core::{context::RequestContext, identity::Principal};
//! use stockade_rate_limit::{
//!     KeyExtractor, Limit, Limits, MemoryLimitStore, RateLimitLayer, SharedLimits,
//! };
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let limits = Limits::new([
//!         Limit::new("key", KeyExtractor::principal())
//!             .quota("60/minute burst 10".parse()?)
//!             .quota_named("daily", "10000/day".parse()?),
//!         Limit::new("batch", KeyExtractor::route().and(KeyExtractor::principal()))
//!             .quota("1000 in any hour".parse()?)
//!             .cost_by(|head| if head.uri.path() == "/v1/batches" { 100 } else { 1 }),
//!     ])?;
//!     // Keep a clone to replace the limits later.
//!     let limits = SharedLimits::from(limits);
//!     let store = MemoryLimitStore::new(100_000);
//!     let service = ServiceBuilder::new()
//!         .layer(RateLimitLayer::with_store(limits.clone(), store).openai_headers())
//!         .service_fn(|_: Request<Full<Bytes>>| async {
//!             Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
//!         });
//!
//!     // An authentication layer would set the principal.
//!     let request = |id: &str| {
//!         let principal = Principal::builder(id).build();
//!         let context = RequestContext::builder().principal(principal).build();
//!         Request::get("/v1/batches").extension(context).body(Full::default())
//!     };
//!     for left in ["9", "8"] {
//!         let passed = service.clone().oneshot(request("k1")?).await?;
//!         assert_eq!(passed.headers()["x-ratelimit-remaining-requests"], left);
//!     }
//!     for _ in 0..8 {
//!         assert_eq!(service.clone().oneshot(request("k1")?).await?.status(), 200);
//!     }
//!     assert_eq!(service.clone().oneshot(request("k1")?).await?.status(), 429);
//!     assert_eq!(service.oneshot(request("k2")?).await?.status(), 200);
//!     Ok(())
//! }
//! ```
//!
//! # See also
//! - [Rate limits](https://github.com/stockade-rs/stockade/blob/main/docs/src/rate-limit.md),
//!   [token budgets](https://github.com/stockade-rs/stockade/blob/main/docs/src/token-budget.md)
//!   and
//!   [concurrency
//!   limits](https://github.com/stockade-rs/stockade/blob/main/docs/src/concurrency.md) in the
//!   book.
//! - [`stockade-redis`](https://docs.rs/stockade-redis) shares limits and permits between replicas.
//! - [`stockade-body`](https://docs.rs/stockade-body) estimates the model tokens of a request.
//! - [`stockade`](https://docs.rs/stockade) has all layers in the right order.
//! - Examples:
//!   [`axum-redis`](https://github.com/stockade-rs/stockade/tree/main/examples/axum-redis).

#![cfg_attr(docsrs, feature(doc_cfg))]

mod bucket;
mod compiled;
mod concurrency;
mod decision;
mod fallback;
pub mod gcra;
#[cfg(feature = "governor")]
mod governor_store;
mod headers;
mod key_extractor;
mod limit;
mod limits;
mod memory;
mod permits;
mod policy;
mod quota;
mod quota_id;
mod rate_key;
mod rate_limit;
mod shared_limits;
pub mod sliding;
mod store;
mod token_budget;

pub use bucket::{Bucket, OwnedBucket};
pub use concurrency::{
    Concurrency, ConcurrencyHook, ConcurrencyLayer, ConcurrencyLimit, ConcurrencyStats,
    ConcurrencyWait,
};
pub use decision::{Decision, QuotaStatus};
pub use fallback::{FailurePolicy, Fallback, FallbackWait, Fraction, FractionError, StoreHealth};
#[cfg(feature = "governor")]
pub use governor_store::GovernorLimitStore;
pub use key_extractor::KeyExtractor;
pub use limit::Limit;
pub use limits::{Limits, LimitsError, LimitsErrorKind};
pub use memory::{MemoryLimitStore, MonotonicClock};
pub use permits::{
    AcquireError, MemoryPermit, MemoryPermitWait, MemoryPermits, PermitReply, PermitRequest,
    PermitStore, QueueTimeout,
};
pub use quota::{Algorithm, Quota, QuotaError, QuotaErrorKind};
pub use quota_id::QuotaId;
pub use rate_key::{KeyExtractorError, RateKey};
pub use rate_limit::{RateLimit, RateLimitHook, RateLimitLayer, RateLimitWait};
pub use shared_limits::SharedLimits;
pub use store::{LimitStore, NoWait, StoreError, StoreErrorKind, StoreReply};
pub use token_budget::{
    ExtendReservation, Reservation, ReservedTokens, TokenBudget, TokenBudgetLayer, TokenBudgetWait,
};
