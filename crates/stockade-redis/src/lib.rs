//! Limits, permits and bans shared by all processes of a service, on Redis or Valkey.
//!
//! ```sh
//! cargo add stockade-redis
//! ```
//!
//! # Rules
//! 1. All stores share one connection ([`Redis`]). It is opened in the background and replaced
//!    when it breaks; calls never wait for it.
//! 2. [`RedisLimits`] decide about all quotas of a request in one script, by the server's
//!    clock. Concurrent requests share a call. With leases, a process debits permits in
//!    advance and decides locally; **the quotas still hold exactly**.
//! 3. [`RedisPermits`] are renewed by the process that holds them. Those of a crashed process
//!    expire.
//! 4. [`RedisBans`] take effect on every process within a second, and without Redis in the
//!    process that made them.
//! 5. **The behaviour without Redis has to be chosen**: a store only reports that it has no
//!    decision. [`Fallback`](stockade_rate_limit::Fallback) sets the deadline, and denies,
//!    allows, or counts locally; permits are refused, and bans stay in force.
//! 6. All queues and all stored data are bounded. Every key of a limit or permit expires.
//! 7. Keys are `stockade:{namespace}:…`. Text chosen by clients is stored as a digest only.
//!
//! # Before you deploy
//! - Use Redis 6.2 or later (tested with 7.0), or Valkey (tested with 8.0), with `noeviction`:
//!   an evicted key is a forgotten debt. When memory is exhausted, the failure policy decides.
//! - The user needs `EVALSHA`, `SCRIPT LOAD`, `TIME` and the commands of strings, hashes,
//!   sorted sets and streams, on keys `stockade:*`.
//! - A cluster keeps a [`Namespace`] on one server, and the connection follows it. Services
//!   that share no limits should use different namespaces.
//! - With Sentinel or another failover, use an address that leads to the primary: when a
//!   server has become a replica, the address is resolved again. Writes that the new primary
//!   did not receive are lost: debts of the last moment, at most.
//! - If Redis loses its data, buckets are full, permits are restored when they are renewed,
//!   and bans hold in the processes that know them.
//!
//! # Example
//! ```toml
//! [dependencies]
//! axum = "0.8"
//! bytes = "1"
//! http = "1"
//! http-body-util = "0.1"
//! stockade-abuse = "0.1"
//! stockade-core = "0.1"
//! stockade-rate-limit = "0.1"
//! stockade-redis = "0.1"
//! tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
//! tower = { version = "0.5", features = ["util"] }
//! ```
//!
//! Without Redis, each process counts locally with half of the quota:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use stockade_rate_limit::{
//!     FailurePolicy, Fallback, Fraction, KeyExtractor, Limit, Limits, Quota, RateLimitLayer,
//! };
//! use stockade_redis::{Redis, RedisConfig, RedisLimits};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // Nothing listens there.
//!     let redis = Redis::connect(RedisConfig::new("redis://127.0.0.1:1")?)?;
//!     let half = FailurePolicy::Local { fraction: Fraction::new(0.5)? };
//!     let store = Fallback::new(RedisLimits::new(&redis), half);
//!     let limit = Limit::new("all", KeyExtractor::global()).quota(Quota::per_hour(2));
//!     let limits = Limits::new([limit])?;
//!     let service = ServiceBuilder::new()
//!         .layer(RateLimitLayer::with_store(limits, store.clone()))
//!         .service_fn(|_request: Request<()>| async {
//!             Ok::<_, Infallible>(Response::new(Full::<bytes::Bytes>::default()))
//!         });
//!
//!     let passed = service.clone().oneshot(Request::new(())).await?;
//!     assert_eq!(passed.status(), StatusCode::OK);
//!     let refused = service.oneshot(Request::new(())).await?;
//!     assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
//!     assert_eq!(store.health().fallback_decisions, 2);
//!     Ok(())
//! }
//! ```
//!
//! Limits with leases, permits and bans, in a separate namespace:
//!
//! ```no_run
//! use std::{num::NonZeroU32, sync::Arc};
//!
//! use axum::{Router, routing::post};
//! use stockade_abuse::{AbuseLayer, AbusePolicy, Detector};
//! use stockade_core::{client::PeerAddr, context::ContextLayer};
//! use stockade_rate_limit::{
//!     ConcurrencyLayer, ConcurrencyLimit, FailurePolicy, Fallback, KeyExtractor, Limit, Limits,
//!     Quota, RateLimitLayer,
//! };
//! use stockade_redis::{Redis, RedisBans, RedisConfig, RedisLimits, RedisPermits};
//!
//! const HUNDRED: NonZeroU32 = NonZeroU32::new(100).unwrap();
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let config = RedisConfig::new("rediss://redis.internal:6380")?
//!         .namespace("chat".parse()?)
//!         .root_certificates(std::fs::read("ca.pem")?);
//!     let redis = Redis::connect(config)?;
//!     let store = Fallback::new(RedisLimits::with_leases(&redis, HUNDRED), FailurePolicy::Deny);
//!     let limit = Limit::new("ip", KeyExtractor::client_ip()).quota(Quota::per_minute(600));
//!     let limits = Limits::new([limit])?;
//!     let capacity = ConcurrencyLimit::new("capacity", KeyExtractor::global(), HUNDRED);
//!     let detector = Detector::builder(AbusePolicy::new())
//!         .store(Arc::new(RedisBans::new(&redis)))
//!         .build();
//!
//!     let listener = tokio::net::UnixListener::bind("app.sock")?;
//!     let app = Router::new()
//!         .route("/v1/chat/completions", post(async || "hello"))
//!         .layer(ConcurrencyLayer::with_store([capacity], RedisPermits::new(&redis)))
//!         .layer(RateLimitLayer::with_store(limits, store))
//!         .layer(AbuseLayer::new(detector))
//!         .layer(ContextLayer::new().peer(|_| Some(PeerAddr::UnixSocket)));
//!     axum::serve(listener, app).await?;
//!     Ok(())
//! }
//! ```
//!
//! # See also
//! - [One configuration
//!   file](https://github.com/stockade-rs/stockade/blob/main/docs/src/configuration.md) in the
//!   book.
//! - [`stockade-rate-limit`](https://docs.rs/stockade-rate-limit) and
//!   [`stockade-abuse`](https://docs.rs/stockade-abuse) are the layers that use these stores.
//! - [`stockade`](https://docs.rs/stockade) uses them with the feature `redis`.
//! - Examples:
//!   [`axum-redis`](https://github.com/stockade-rs/stockade/tree/main/examples/axum-redis).

#![cfg_attr(docsrs, feature(doc_cfg))]

mod bans;
mod config;
mod connection;
mod error;
mod key;
mod limits;
mod permits;

pub use bans::RedisBans;
pub use config::{RedisConfig, RedisConfigError};
pub use connection::Redis;
pub use key::Namespace;
pub use limits::{RedisDecision, RedisLimits, RedisLimitsStats};
pub use permits::{RedisPermit, RedisPermitWait, RedisPermits, RedisPermitsStats};
