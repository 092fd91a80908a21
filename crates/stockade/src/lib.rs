//! A fence of tower layers for HTTP and gRPC APIs, from one configuration file.
//!
//! # Rules
//! 1. **One file** ([`Config`], TOML or YAML) says who may use the API and how much of it.
//!    Precedence: environment (`STOCKADE_RATE_LIMIT__BY_IP`), then the legacy names
//!    ([`LEGACY_NAMES`], off unless [`Environment::legacy_names`] is called), then the file.
//!    Unknown names are refused, with the line or the variable and the nearest known name.
//! 2. **One layer** ([`Fence`]) does all of it, in the order that it has to be done in:
//!    records, web pages, bans, the limit by address, keys and tokens, banned keys, the limit
//!    by key, scopes, requests at once, bodies, token budgets. Health checks
//!    ([`ProbesConfig`]) meet only records, web pages and a limit of their own. A client at a
//!    banned address that sends a credential is limited by address before that is verified,
//!    and preflight requests of browsers are banned and limited like all others. The order
//!    stands in one file of this crate, `fence/layer.rs`, with a comment a guard. All of
//!    them are one service ([`Chain`](stockade_core::guard::Chain)).
//! 3. What no rule names, nobody may. Without keys there is no fence.
//! 4. Bad keys are throttled by address before any slow hash is computed. Refused requests
//!    reach no handler, and their bodies are not read.
//! 5. Keys and deny-lists are followed while the fence stands; quotas, the abuse policy and
//!    web pages change with [`Fence::reload`]. A bad new configuration changes nothing.
//!    Each key that was created, rotated or revoked meanwhile, whoever did it, is an event
//!    ([`FenceEvent`]) in the log: the first hundred of one change by their ids, the rest as a
//!    count for each kind. Keys that are read at the start are no news.
//! 6. Limits are counted in this process, or on Redis, so that replicas share them (feature
//!    `redis`). What happens while Redis is down has to be chosen.
//! 7. [`check`] says what is unsafe about a configuration, and how to mend it.
//!
//! # Knowing before deploying
//! - Put the layer on once, after routing, with axum's `Router::layer`: so the matched route
//!   is known, and no request is boxed twice. Serve with
//!   `into_make_service_with_connect_info::<SocketAddr>()`, or no request has an address.
//! - Behind a fence a handler finds its principal with [`Authenticated`]; a tonic service
//!   with `RequestContext::of(request.extensions()).and_then(RequestContext::principal)`.
//! - gRPC beside HTTP: put the layer around tonic's services as well, where the path names the
//!   method, and not only around the router that they are a fallback of. The example
//!   `tonic-and-axum` does so.
//! - Responses get no security headers from a fence: put [`SecurityHeadersLayer`] outside of
//!   it.
//! - Each layer of it is a crate of its own, without the others.
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
//! `stockade keys new --scope chat:write` makes `keys.yaml` and shows a key. A request with it is
//! answered, one without it gets a 401, and a key that `stockade keys revoke` revokes is refused
//! within two seconds.

#[cfg(feature = "axum")]
mod axum;
mod check;
mod config;
mod fence;
mod security_headers;

#[cfg(feature = "axum")]
pub use axum::Authenticated;
pub use check::{DeploymentFacts, Finding, Severity, check};
pub use config::{
    AbuseConfig, AnswerConfig, AuditConfig, AuthConfig, BodyConfig, BodyProfile, Change,
    ClientIpConfig, ConcurrencyConfig, Config, ConfigError, ConfigWarning, CorsConfig, Environment,
    Format, HeaderStyle, ImagesConfig, LEGACY_NAMES, OnFailure, OnOverflow, Origin, ProbesConfig,
    RateLimitConfig, Remedy, RouteAccess, RouteConfig, SecretUrl, Setting, StoreConfig,
    TokenBudgetConfig, TokensConfig,
};
pub use fence::{
    Fence, FenceBody, FenceBuilder, FenceEvent, FenceLayer, FenceService, LimitsStore,
    PermitsStore, RequestMetrics, RouteAdapter, StoreHealth,
};
pub use security_headers::{SecurityHeaders, SecurityHeadersLayer};
pub use stockade_watch::SourceStatus;

/// The crates of the family, each of which works without the others.
pub use {
    stockade_abuse as abuse, stockade_audit as audit, stockade_body as body, stockade_core as core,
    stockade_jwt as jwt, stockade_key_auth as key_auth, stockade_rate_limit as rate_limit,
    stockade_scope as scope,
};
