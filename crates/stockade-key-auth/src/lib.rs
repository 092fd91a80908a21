//! API key authentication as a tower layer.
//!
//! ```sh
//! cargo add stockade-key-auth
//! ```
//!
//! # Rules
//! 1. A key is taken from `Authorization: Bearer <key>` or `X-API-Key`, never from the
//!    query or the body. Two keys that differ are a 400.
//! 2. A missing key is a 401 with `WWW-Authenticate: Bearer realm="api"`. An invalid key is a 401
//!    with `error="invalid_token"` and one message for all reasons. The reason is in the
//!    [`Denial`](stockade_core::refusal::Denial), for logs.
//! 3. Stores hold hashes ([`KeyHash`]). Generated keys ([`GeneratedKey`]) have 178 random bits, so
//!    SHA-256 is sufficient. They are found by their digest, compared in constant time. A checksum
//!    identifies mistyped keys.
//! 4. bcrypt and argon2id hashes of keys from other issuers are verified once, on blocking
//!    threads, with bounded concurrency ([`SlowHashLimits`]) that is shared fairly between client
//!    addresses; further requests get a 503 immediately. A flood of bad keys does not delay good
//!    keys. Verifying a key with an unknown id costs as much as with a known id.
//! 5. A request uses the key set at its start. Revoked, removed and expired keys are rejected on
//!    the next request, even if they are cached or were being verified.
//! 6. Handlers see a [`Principal`](stockade_core::identity::Principal) but never the key: the
//!    headers that may contain keys are removed.
//! 7. A request without a key is authenticated by the client certificate of its connection
//!    ([`ClientCertificate`]), if a record has its SPIFFE ID. A request with a key, valid or not,
//!    is checked by its key alone. A certificate without a record is treated as a missing key.
//!
//! # Deployment notes
//! - A bcrypt or argon2id key without an id is verified against all such hashes on first use.
//!   Issue SHA-256 keys instead, and let the old ones expire.
//! - Slow hashes require a tokio runtime; SHA-256 keys do not.
//! - [`FileKeyStore::open`] watches its file as long as the store, or a guard, layer or service
//!   that uses its keys, exists. Changes take effect within two seconds. While the file cannot be
//!   read, the last valid keys stay active and reading is retried: expose
//!   [`FileKeyStore::health`] in metrics and readiness.
//! - Put a rate limit by client address in front, to throttle guessing.
//! - Client certificates require that this program terminates TLS and verifies them. Behind a
//!   proxy that terminates TLS, use keys: no header is trusted.
//!
//! # Features
//! None is enabled by default.
//!
//! | feature | provides |
//! |---|---|
//! | `file` | [`FileKeyStore`]: keys in a YAML, TOML or JSON file |
//! | `watch` | [`FileKeyStore::open`], which follows changes of the file; enables `file` |
//! | `bcrypt`, `argon2` | hashes of keys from other issuers; without the feature, parsing them fails |
//! | `serde` | `QuotaFields`, the serialized form of quotas, for stores |
//!
//! # Examples
//! ```toml
//! [dependencies]
//! axum = "0.8"
//! bytes = "1"
//! http = "1"
//! http-body-util = "0.1"
//! stockade-core = "0.1"
//! stockade-key-auth = { version = "0.1", features = ["watch"] }
//! tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
//! tower = { version = "0.5", features = ["util"] }
//! ```
//!
//! With defaults:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use stockade_core::{context::RequestContext, identity::Principal};
//! use stockade_key_auth::{GeneratedKey, KeyAuthLayer, KeyRecord, MemoryKeyStore};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let key = GeneratedKey::new("sk", "team-core".parse()?)?;
//!     let store = MemoryKeyStore::new();
//!     store.insert(KeyRecord::new(key.id().clone(), key.digest()))?;
//!
//!     let service = ServiceBuilder::new().layer(KeyAuthLayer::new(&store)).service_fn(
//!         |request: Request<Full<Bytes>>| async move {
//!             let context = RequestContext::of(request.extensions());
//!             let principal = context.and_then(RequestContext::principal);
//!             let id = principal.map_or("anonymous", Principal::id).to_owned();
//!             Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(id))))
//!         },
//!     );
//!
//!     let with = Request::builder()
//!         .header("authorization", format!("Bearer {}", key.expose()))
//!         .body(Full::default())?;
//!     assert_eq!(service.clone().oneshot(with).await?.status(), StatusCode::OK);
//!
//!     let without = Request::new(Full::default());
//!     let response = service.oneshot(without).await?;
//!     assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//!     assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"api\"");
//!     Ok(())
//! }
//! ```
//!
//! With keys from a file created by `stockade keys new`, a custom header, and problem JSON:
//!
//! ```no_run
//! # #[cfg(feature = "watch")] mod program {
//! use axum::{Extension, Router, routing::post};
//! use http::HeaderName;
//! use stockade_core::{
//!     context::RequestContext,
//!     identity::Principal,
//!     refusal::{ErrorFormat, Responder},
//! };
//! use stockade_key_auth::{CredentialSource, FileKeyStore, KeyAuthLayer};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // Watches the file: a revoked key is rejected within two seconds.
//!     let store = FileKeyStore::open("keys.yaml")?;
//!     let keys = KeyAuthLayer::new(&store)
//!         .sources([
//!             CredentialSource::Bearer,
//!             CredentialSource::Header(HeaderName::from_static("x-team-key")),
//!         ])
//!         .realm("models")
//!         .responder(Responder::default().default_format(ErrorFormat::Problem));
//!
//!     let hello = async |Extension(context): Extension<RequestContext>| {
//!         format!("Hello, {}!", context.principal().map_or("anonymous", Principal::id))
//!     };
//!     let app = Router::new()
//!         .route("/v1/chat/completions", post(hello))
//!         .layer(keys);
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     axum::serve(listener, app).await?;
//!     Ok(())
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! # See also
//! - [API keys](https://github.com/stockade-rs/stockade/blob/main/docs/src/key-auth.md) in the
//!   book.
//! - [`stockade-sqlx`](https://docs.rs/stockade-sqlx) stores keys in SQLite and PostgreSQL.
//! - [`stockade-scope`](https://docs.rs/stockade-scope) decides which routes a key may call.
//! - [`stockade-cli`](https://docs.rs/stockade-cli) creates, rotates and revokes keys.
//! - Examples: [`axum-keys`](https://github.com/stockade-rs/stockade/tree/main/examples/axum-keys),
//!   [`hyper-keys`](https://github.com/stockade-rs/stockade/tree/main/examples/hyper-keys),
//!   [`tonic-keys`](https://github.com/stockade-rs/stockade/tree/main/examples/tonic-keys).

#![cfg_attr(docsrs, feature(doc_cfg))]

mod base62;
mod certificate;
mod change;
mod credential;
mod digest;
mod event;
#[cfg(feature = "file")]
mod file;
mod guard;
mod hash;
mod id;
mod key;
mod known;
mod layer;
mod memory;
mod pepper;
#[cfg(feature = "serde")]
mod quotas;
mod recheck;
mod record;
mod records;
mod refusal;
mod set;
mod slow;
mod spiffe_id;
mod store;
mod update;

pub use certificate::ClientCertificate;
pub use change::{DEFAULT_GRACE, KeyChange, KeyChangeError};
pub use credential::CredentialSource;
pub use digest::KeyDigest;
pub use event::KeyEvent;
#[cfg(feature = "file")]
pub use file::{FileKeyStore, KeyFileError, KeyFileErrorKind, KeyFileFormat, to_yaml};
pub use guard::{KeyAuth, KeyAuthPass};
pub use hash::{KeyHash, KeyHashError};
pub use id::{KeyId, KeyIdError};
pub use key::{GenerateKeyError, GeneratedKey};
pub use layer::KeyAuthLayer;
pub use memory::MemoryKeyStore;
pub use pepper::{Pepper, PepperError};
#[cfg(feature = "serde")]
pub use quotas::QuotaFields;
pub use record::{KeyRecord, PreviousHash};
pub use set::{DuplicateKeyError, KeyRequirements, KeySet};
pub use slow::SlowHashLimits;
pub use spiffe_id::{SpiffeId, SpiffeIdError};
pub use store::{KeyStore, KeyStoreError, KeyStoreErrorKind, LiveKeys, StoreFuture};
pub use update::KeyUpdate;
