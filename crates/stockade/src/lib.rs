//! Authentication, rate limits, bans and audit records for HTTP and gRPC APIs: one tower layer,
//! configured by one file.
//!
//! ```sh
//! cargo add stockade
//! ```
//!
//! # Rules
//! 1. **Routes without a rule are denied.** `[[routes]]` makes a route public or requires
//!    authentication or a scope.
//! 2. **Keys are required**, from a file or a database. Access tokens (JWT) are accepted in
//!    addition to keys.
//! 3. **The order of the guards is fixed**: audit record, CORS, bans, limit by address, keys and
//!    tokens, banned keys, limit by key, scopes, concurrency, body, token budget. They form one
//!    service (a [`Chain`](stockade_core::guard::Chain)); `fence/layer.rs` declares their order,
//!    with a comment for each guard.
//! 4. **Invalid keys are limited by address** before any slow hash is computed. Refused requests
//!    reach no handler, and a body is read only after all checks of the request head.
//! 5. **Valid keys pass the ban of an address**, unless `abuse.ban_valid_keys` is set, but not the
//!    limit by address. Preflight requests of browsers are banned and limited like all others.
//! 6. **Health checks** ([`ProbesConfig`]) are exempt from bans, authentication and all limits
//!    except their own.
//! 7. **The environment takes precedence over the file.** Precedence: environment
//!    (`STOCKADE_RATE_LIMIT__BY_IP`), then the legacy names ([`LEGACY_NAMES`], only after
//!    [`Environment::legacy_names`] was called), then the file ([`Config`], TOML or YAML). Unknown
//!    names are refused with their line or variable and the nearest known name.
//! 8. **Changes of keys, revocations and deny-lists take effect without a reload.** Quotas, the
//!    abuse policy, `streams.cut` and CORS change with [`Fence::reload`]; an invalid configuration changes
//!    nothing. Each key that any process creates, rotates or revokes is an event
//!    ([`FenceEvent`]) in the audit log: up to a hundred of a change by id, the others as a count.
//! 9. **A stream ends when its client loses access**: its key is revoked or expires, its token is,
//!    it is banned, or its tokens are used up. Streams of server-sent events and of gRPC end at most
//!    half a second after new requests are refused, with an error event or a status; others mark
//!    themselves with a [`FinalEvent`]. `streams.cut` switches it off. Responses of other kinds are
//!    left alone.
//! 10. **Limits are counted in this process**, or in Redis (feature `redis`), which replicas share.
//!     With Redis, `store.on_failure` is required: it decides what happens during an outage.
//! 11. **[`check`] finds unsafe settings** and suggests a fix for each.
//!
//! # Knowing before deploying
//! - Apply the layer once, after routing, with axum's `Router::layer`: the matched route is then
//!   known, and no request is boxed twice.
//! - Serve with `into_make_service_with_connect_info::<SocketAddr>()`. Otherwise requests have no
//!   client address, which limits and bans require.
//! - Handlers get the principal with [`Authenticated`]; tonic services with
//!   `RequestContext::of(request.extensions()).and_then(RequestContext::principal)`.
//! - For gRPC, also apply the layer to tonic's services, where the path names the method, and not
//!   only to the router that falls back to them. See the example `tonic-and-axum`.
//! - A fence adds no security headers to responses: apply [`SecurityHeadersLayer`] outside of it.
//! - Each layer is also a separate crate, usable without the others.
//!
//! # Features
//! | feature | provides |
//! |---|---|
//! | `axum` (default) | matched routes and peer addresses of axum, and the extractor [`Authenticated`] |
//! | `jwt` (default) | access tokens (`[auth.tokens]`) |
//! | `redis` | limits and bans shared by replicas (`[store]`) |
//! | `sqlite`, `postgres` | keys and audit records in a database |
//! | `jwks-url`, `syslog`, `decode` | the feature of this name of [`jwt`], [`audit`] and [`body`], for layers of your own |
//!
//! A configuration that needs a missing feature is rejected.
//!
//! # Example
//! ```toml
//! [dependencies]
//! axum = "0.8"
//! stockade = "0.1"
//! tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
//! tracing-subscriber = "0.3"
//! ```
//!
//! ```toml
//! # stockade.toml
//! [auth]
//! keys_file = "keys.yaml"
//!
//! [[routes]]
//! path = "/v1/chat/completions"
//! methods = "POST"
//! access = "chat:write"
//!
//! [rate_limit]
//! by_ip = "600/minute"
//! by_key = ["60/minute burst 10", "10000/day"]
//! ```
//!
//! ```no_run
//! # #[cfg(feature = "axum")] mod program {
//! use std::net::SocketAddr;
//!
//! use axum::{Router, routing::post};
//! use stockade::{Authenticated, Fence};
//! use tokio::net::TcpListener;
//!
//! async fn hello(Authenticated(principal): Authenticated) -> String {
//!     format!("hello, {}", principal.id())
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     tracing_subscriber::fmt().init();
//!     let fence = Fence::from_file("stockade.toml").await?;
//!     println!("{fence}");
//!
//!     let app = Router::new()
//!         .route("/v1/chat/completions", post(hello))
//!         .layer(fence.layer());
//!     let listener = TcpListener::bind("127.0.0.1:3000").await?;
//!     // The fence limits and bans by address, so it needs the address of the peer.
//!     let app = app.into_make_service_with_connect_info::<SocketAddr>();
//!     axum::serve(listener, app).await?;
//!     Ok(())
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! `stockade keys new --scope chat:write` creates `keys.yaml` and shows a key. Requests with the
//! key succeed and requests without it get status 401. After `stockade keys revoke` the key is
//! refused within two seconds.
//!
//! # Example with a custom guard
//! The builder adds guards to the fence. This one refuses content types that the form of another
//! site can send, before any key is verified:
//!
//! ```no_run
//! # #[cfg(feature = "axum")] mod program {
//! use std::net::SocketAddr;
//!
//! use axum::{Router, routing::post};
//! use stockade::{
//!     Config, Environment, Fence,
//!     core::{
//!         guard::guard_fn,
//!         refusal::{Refusal, RefusalKind},
//!     },
//! };
//! use tokio::net::TcpListener;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let json_only = guard_fn("json_only", |head| match head.headers.get("content-type") {
//!         Some(media_type) if media_type == "application/json" => Ok(()),
//!         _ => Err(Refusal::new(
//!             RefusalKind::UnsupportedType,
//!             "the content type is not application/json",
//!         )),
//!     });
//!     let config = Config::read("stockade.toml", &Environment::from_process())?;
//!     let fence = Fence::builder(&config)
//!         .before_identity(json_only)
//!         .build()
//!         .await?;
//!
//!     let app = Router::new()
//!         .route("/v1/chat/completions", post(async || "hello"))
//!         .layer(fence.layer())
//!         .into_make_service_with_connect_info::<SocketAddr>();
//!     let listener = TcpListener::bind("127.0.0.1:3000").await?;
//!     axum::serve(listener, app).await?;
//!     Ok(())
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! Requests with another content type get status 415. Like every refusal, theirs is recorded,
//! counted in metrics and reported to the abuse detector. `async_guard_fn` creates guards that
//! wait or hold a permit until the response has ended; see [`guard`](stockade_core::guard).
//!
//! # See also
//! - [Quick start](https://github.com/stockade-rs/stockade/blob/main/docs/src/quick-start.md) in
//!   the book.
//! - [`stockade-cli`](https://docs.rs/stockade-cli) creates keys and checks the configuration.
//! - [`stockade-server`](https://docs.rs/stockade-server) serves a model behind the fence without
//!   code.
//! - Each layer is a crate: [`stockade-key-auth`](https://docs.rs/stockade-key-auth),
//!   [`stockade-jwt`](https://docs.rs/stockade-jwt),
//!   [`stockade-scope`](https://docs.rs/stockade-scope),
//!   [`stockade-rate-limit`](https://docs.rs/stockade-rate-limit),
//!   [`stockade-abuse`](https://docs.rs/stockade-abuse),
//!   [`stockade-body`](https://docs.rs/stockade-body),
//!   [`stockade-audit`](https://docs.rs/stockade-audit).
//! - Examples: [`axum-llm`](https://github.com/stockade-rs/stockade/tree/main/examples/axum-llm),
//!   [`tonic-and-axum`](https://github.com/stockade-rs/stockade/tree/main/examples/tonic-and-axum).

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "axum")]
mod axum;
mod check;
mod config;
mod fence;
pub mod guide;
mod security_headers;

#[cfg(feature = "axum")]
pub use axum::Authenticated;
pub use check::{DeploymentFacts, Finding, Severity, check};
pub use config::{
    AbuseConfig, AnswerConfig, AuditConfig, AuthConfig, BodyConfig, BodyProfile, Change,
    ClientIpConfig, ConcurrencyConfig, Config, ConfigError, ConfigWarning, CorsConfig, Environment,
    Format, HeaderStyle, ImagesConfig, LEGACY_NAMES, OnFailure, OnOverflow, ProbesConfig,
    RateLimitConfig, Remedy, RouteAccess, RouteConfig, SecretUrl, Setting, SettingFile,
    SettingOrigin, StoreConfig, StreamsConfig, TokenBudgetConfig, TokensConfig,
};
pub use fence::{
    AccessEnded, Fence, FenceBody, FenceBuilder, FenceEvent, FenceFuture, FenceLayer,
    FenceResponseBody, FenceService, FinalEvent, RequestMetrics, StoreHealth,
};
pub use security_headers::{SecurityHeaders, SecurityHeadersLayer};
pub use stockade_watch::SourceStatus;

#[cfg(feature = "jwt")]
pub use stockade_jwt as jwt;
/// The crates of the individual layers.
pub use {
    stockade_abuse as abuse, stockade_audit as audit, stockade_body as body, stockade_core as core,
    stockade_key_auth as key_auth, stockade_rate_limit as rate_limit, stockade_scope as scope,
};
