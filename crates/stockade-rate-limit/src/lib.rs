//! Rate limits, concurrency limits and token budgets as tower layers: stacked quotas by
//! address, key, route, model or anything else.
//!
//! # Rules
//! 1. A [`Quota`] is so many in such a time: `Quota::per_minute(60).burst(10)`, or the text
//!    `60/minute burst 10`. It is counted by GCRA, or as a sliding window
//!    ([`Quota::sliding`]). What can be no quota is refused when it is read, with the reason.
//! 2. A [`Limit`] counts [`KeyExtractor`] something, and has one quota or several. All quotas of a
//!    request are checked, and then all are debited or none: a request that is refused takes
//!    nothing.
//! 3. One [`RateLimit`] goes before authentication, by address, so that guessing keys costs;
//!    another one after it, by principal, whose own quotas come before those of the limit.
//! 4. Nothing is a free pass. What is anonymous is counted by its address, what names no
//!    route or model shares one bucket, and where the server does not say who the client is,
//!    the answer is a 500.
//! 5. Whoever is refused gets a 429 with a `Retry-After` that is true and at least 1.
//!    `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11) are on every
//!    answer that a quota of whole seconds counts in requests; the older fields, and those of
//!    model tokens, are there where they are asked for.
//! 6. What is kept in memory ([`MemoryLimitStore`]) has a hard bound. Where it is full, the
//!    one who owes least has to go, and no debt goes with it: being forgotten refills
//!    nobody.
//! 7. A store that many processes share ([`LimitStore`]) decides by itself, in one step. What
//!    is done while it is down has to be chosen ([`FailurePolicy`]) and can be seen
//!    ([`Fallback::health`]).
//! 8. [`Concurrency`] limits requests at once. A place is held until the response body has
//!    ended, failed or was dropped, and is freed once.
//! 9. A [`TokenBudget`] reserves what a request may take of a model, and settles with what it
//!    has taken, once, however it ended.
//!
//! # Knowing before deploying
//! - Clients are told apart by [`ClientIp`](stockade_core::client::ClientIp). Behind a proxy, put a
//!   [`ContextGuard`](stockade_core::context::ContextGuard) that trusts it outermost, or all clients
//!   are one.
//! - In memory, each process counts by itself: two replicas let in twice as much.
//! - States are kept by the names of limits and the periods of their quotas. Counts, bursts
//!   and prices can change while requests are running ([`SharedLimits`]).
//! - [`Fallback`], [`Concurrency::queue`] and stores far away need tokio's timer; all else runs
//!   anywhere.
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
//! Two requests an hour from each address:
//!
//! ```
//! use std::{convert::Infallible, net::SocketAddr};
//!
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use stockade_core::{client::PeerAddr, guard::Guard};
//! use stockade_rate_limit::{KeyExtractor, Limit, Limits, Quota, RateLimit};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let limit = Limit::new("ip", KeyExtractor::client_ip()).quota(Quota::per_hour(2));
//!     let service = ServiceBuilder::new()
//!         .layer(RateLimit::new(Limits::new([limit])?).into_layer())
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
//! Several limits in one layer, from text, with what OpenAI's clients look for:
//!
//! ```
//! use http::Request;
//! use stockade_core::{client::PeerAddr, guard::{Check, Head}, identity::Principal, guard::Guard};
//! use stockade_rate_limit::{KeyExtractor, Limit, Limits, MemoryLimitStore, RateLimit, SharedLimits};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let limits = Limits::new([
//!         Limit::new("key", KeyExtractor::principal())
//!             .quota("60/minute burst 10".parse()?)
//!             .quota_named("daily", "10000/day".parse()?),
//!         Limit::new("batch", KeyExtractor::route().and(KeyExtractor::principal()))
//!             .quota("1000 in any hour".parse()?)
//!             .cost_by(|head| if head.uri.path() == "/v1/batches" { 100 } else { 1 }),
//!     ])?;
//!     let limits = SharedLimits::from(limits);
//!     let guard =
//!         RateLimit::with_store(limits.clone(), MemoryLimitStore::new(100_000)).openai_headers();
//!
//!     let request = |id: &str| {
//!         let request = Request::get("/v1/batches").extension(PeerAddr::UnixSocket);
//!         let principal = Principal::builder(id).build();
//!         Head::new(request.extension(principal).body(()).unwrap().into_parts().0)
//!     };
//!     for _ in 0..10 {
//!         assert!(matches!(guard.check(&request("k1")), Check::Pass(_)));
//!     }
//!     assert!(matches!(guard.check(&request("k1")), Check::Refuse(_)));
//!     assert!(matches!(guard.check(&request("k2")), Check::Pass(_)));
//!     Ok(())
//! }
//! ```

mod bucket;
mod compiled;
mod concurrency;
mod decision;
mod fallback;
pub mod gcra;
mod headers;
mod key_extractor;
mod limit;
mod limits;
mod memory;
mod permits;
mod policy;
mod quota;
mod rate_key;
mod rate_limit;
mod shared_limits;
pub mod sliding;
mod store;
mod token_budget;

pub use bucket::{Bucket, OwnedBucket, QuotaId};
pub use concurrency::{
    Concurrency, ConcurrencyHook, ConcurrencyLimit, ConcurrencyStats, ConcurrencyWait,
};
pub use decision::{Decision, QuotaStatus};
pub use fallback::{FailurePolicy, Fallback, FallbackWait, Fraction, FractionError, StoreHealth};
pub use key_extractor::KeyExtractor;
pub use limit::Limit;
pub use limits::{Limits, LimitsError, LimitsErrorKind};
pub use memory::{MemoryLimitStore, MonotonicClock};
pub use permits::{
    AcquireError, MemoryPermit, MemoryPermitWait, MemoryPermits, PermitReply, PermitRequest,
    PermitStore, QueueTimeout,
};
pub use quota::{Algorithm, Quota, QuotaError, QuotaErrorKind};
pub use rate_key::{KeyExtractorError, RateKey};
pub use rate_limit::{RateLimit, RateLimitHook, RateLimitWait};
pub use shared_limits::SharedLimits;
pub use store::{LimitStore, NoWait, StoreError, StoreErrorKind, StoreReply};
pub use token_budget::{Reservation, TokenBudget, TokenBudgetWait};
