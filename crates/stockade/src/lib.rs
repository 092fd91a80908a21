//! A fence of tower layers for HTTP and gRPC APIs, from one configuration file.
//!
//! # Rules
//! 1. **One file** ([`Config`], TOML or YAML) says who may use the API and how much of it.
//!    Precedence: environment (`STOCKADE_RATE_LIMIT__BY_IP`), then the legacy names
//!    ([`LEGACY_NAMES`], off unless [`Environment::legacy_names`] is called), then the file.
//!    Unknown names are refused, with the line or the variable and the nearest known name.
//! 2. **One layer** ([`Fence`]) does all of it, in the order that it has to be done in:
//!    records, web pages, bans, the limit by address, keys and tokens, banned keys, the limit
//!    by key, scopes, requests at once, bodies, token budgets. The order stands in one file
//!    of this crate, `fence/layer.rs`, with a comment a guard. All of them are one service
//!    ([`Chain`](stockade_core::Chain)).
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
//!   with `Principal::of(request.extensions())`.
//! - gRPC beside HTTP: put the layer around tonic's services as well, where the path names the
//!   method, and not only around the router that they are a fallback of. The example
//!   `tonic-and-axum` does so.
//! - Each layer of it is a crate of its own, without the others.
//!
//! # Example
//! ```
//! # #[cfg(not(feature = "axum"))]
//! # fn main() {}
//! # #[cfg(feature = "axum")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::{Router, body::Body, extract::ConnectInfo, routing::post};
//! use http::{Request, StatusCode};
//! use stockade::{Authenticated, Config, Environment, Fence, Format};
//! # use std::{fs, net::SocketAddr};
//! # use stockade_key_auth::{GeneratedKey, KeyRecord, to_yaml};
//! use tower::ServiceExt;
//!
//! let text = r#"
//!     [auth]
//!     keys_file = "keys.yaml"
//!
//!     [[routes]]
//!     path = "/v1/chat/completions"
//!     methods = "POST"
//!     access = "chat:write"
//!
//!     [rate_limit]
//!     by_ip = "600/minute"
//!     by_key = ["60/minute", "10000/day"]
//! "#;
//! let mut config = Config::parse(text, Format::Toml, &Environment::from_process())?;
//! # let folder = tempfile::tempdir()?;
//! # let key = GeneratedKey::new("sk", "team".parse()?)?;
//! # let record = KeyRecord::new(key.id().clone(), key.digest()).scopes("chat:write".parse()?);
//! # fs::write(folder.path().join("keys.yaml"), format!("keys:\n{}", to_yaml(&record)))?;
//! # config.resolve_paths(folder.path());
//! let fence = Fence::builder(&config).axum().build().await?;
//! println!("{fence}");
//!
//! let app: Router = Router::new()
//!     .route("/v1/chat/completions", post(|Authenticated(principal): Authenticated| async move {
//!         format!("hello, {}", principal.id())
//!     }))
//!     .layer(fence.layer());
//!
//! # let peer: SocketAddr = "203.0.113.7:50000".parse()?;
//! # let request = || Request::post("/v1/chat/completions").extension(ConnectInfo(peer));
//! # let key = format!("Bearer {}", key.expose());
//! let with_key = request().header("authorization", key).body(Body::empty())?;
//! assert_eq!(app.clone().oneshot(with_key).await?.status(), StatusCode::OK);
//!
//! let without = request().body(Body::empty())?;
//! assert_eq!(app.oneshot(without).await?.status(), StatusCode::UNAUTHORIZED);
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "axum")]
mod axum;
mod check;
mod config;
mod fence;

#[cfg(feature = "axum")]
pub use axum::Authenticated;
pub use check::{Finding, Severity, Surroundings, check};
pub use config::{
    AbuseConfig, AnswerConfig, AuditConfig, AuthConfig, BodyConfig, BodyProfile, Change,
    ClientIpConfig, ConcurrencyConfig, Config, ConfigError, ConfigWarning, CorsConfig, DocsConfig,
    Environment, Format, HeaderStyle, ImagesConfig, LEGACY_NAMES, OnFailure, OnOverflow, Origin,
    RateLimitConfig, Remedy, RouteAccess, RouteConfig, SecretUrl, Setting, StoreConfig,
    TokenBudgetConfig, TokensConfig,
};
pub use fence::{
    Adopt, Fence, FenceBody, FenceBuilder, FenceEvent, FenceLayer, FenceService, LimitsStore,
    PermitsStore, StoreHealth, Watch,
};
pub use stockade_watch::SourceStatus;
