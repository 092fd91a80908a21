//! JWT bearer authentication as a tower layer, and issuance of the tokens.
//!
//! ```sh
//! cargo add stockade-jwt
//! ```
//!
//! # Rules
//! 1. A token is taken from `Authorization: Bearer <token>`, never from the query or the
//!    body. Two tokens that differ are a 400.
//! 2. A missing token is a 401 with `WWW-Authenticate: Bearer realm="api"`. An invalid token is a
//!    401 with `error="invalid_token"` and one message for all reasons. The reason is in the
//!    [`Denial`](stockade_core::refusal::Denial), for logs.
//! 3. The algorithm is configured with the key ([`VerifyingKey`]). A token selects neither its
//!    algorithm nor its key: `none` is not an [`Algorithm`], a public key is rejected as a
//!    [`Secret`], and `jwk`, `jku`, `x5u` and `x5c` are ignored.
//! 4. A token longer than 8 KiB is rejected unread, and the payload is not read before the
//!    signature is verified. `crit`, `b64`, `zip` and `cty` are rejected, as are duplicate members
//!    in the header and the claims at every depth. Tokens with `cnf` (RFC 7800, RFC 8705,
//!    RFC 9449) are rejected, because the binding to a key or a connection is not verified.
//! 5. `exp` is required. `exp`, `nbf` and `iat` are whole seconds, compared with Stockade's
//!    [`Clock`](stockade_core::clock::Clock) and a leeway of 60 seconds. `iss` and `aud` match byte
//!    by byte; a token with an `aud` is rejected when no audience is configured.
//! 6. A verified token is cached under the SHA-256 of its whole text until it expires, so that
//!    repeated requests cost a hash instead of a signature. A change of keys invalidates the
//!    cache, and a revoked token ([`RevocationStore`]) is rejected on the next request.
//! 7. Handlers see a [`Principal`](stockade_core::identity::Principal) but never the token: the
//!    header is removed.
//! 8. Keys of a URL (`JwksUrl`, with the feature `jwks-url`) are fetched over HTTPS without
//!    redirects, at most 256 KiB in 5 seconds, and at most once per cool-down regardless of the
//!    tokens. The last set stays active for 24 hours at most; without a set the response is a 503.
//!    A set with a duplicate `kid`, a weak RSA key (under 2048 bits, or ROCA), or secrets among
//!    public keys is rejected as a whole.
//! 9. A refresh token is valid once. Reuse ends its login ([`RefreshTokens`]).
//!
//! # Deployment notes
//! - HS256, HS384 and HS512 are for servers that verify their own tokens: every verifier can also
//!   issue tokens. Use EdDSA or ES256 between servers.
//! - A token is valid until it expires, unless its `jti` is revoked, which requires a store. With a
//!   store, tokens without a `jti` are rejected. Revoke until `exp` plus the leeway;
//!   `TokenRules::attribute("jti", ..)` exposes the id to handlers.
//! - [`RevocationList`] and [`MemoryRefreshStore`] are limited to one process and not persistent.
//!   When full, they reject new entries and never drop active ones. [`RevocationFile`] is
//!   persistent, and `stockade token revoke` writes it.
//! - A key that an issuer withdraws from its JWKS stays valid until the set is refreshed (10
//!   minutes), and for 24 hours while fetches fail (`RefreshPolicy::max_stale`). Alert on
//!   `JwksUrl::status`.
//! - The scope `*` in a token grants all scopes: configure trusted issuers only, or use another
//!   `scope_claim`.
//! - A client that loses the response to a refresh must log in again, because its old token counts
//!   as stolen.
//! - `jsonwebtoken` verifies signatures with AWS-LC, which needs a C compiler. Its other backend
//!   depends on the `rsa` crate, whose timing leaks private keys (RUSTSEC-2023-0071), and accepts
//!   RSA keys of any length.
//!
//! # Features
//! None is enabled by default.
//!
//! | feature | provides |
//! |---|---|
//! | `jwks-url` | `JwksUrl`: the keys of a URL, with an HTTP client, TLS and tokio |
//!
//! # Examples
//! ```toml
//! [dependencies]
//! bytes = "1"
//! http = "1"
//! http-body-util = "0.1"
//! stockade-core = "0.1"
//! stockade-jwt = "0.1"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! tower = { version = "0.5", features = ["util"] }
//! ```
//!
//! With defaults and self-issued tokens:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use stockade_core::{context::RequestContext, identity::Principal};
//! use stockade_jwt::{
//!     Algorithm, JwtLayer, KeySet, LiveKeys, Secret, SigningKey, TokenIssuer, TokenRules,
//!     VerifyingKey,
//! };
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let secret = Secret::new(b"thirty-two random bytes or more!")?;
//!     let keys = KeySet::new([VerifyingKey::hmac(Algorithm::Hs256, &secret)?]);
//!     let rules = TokenRules::new("https://login.example.com", "https://api.example.com");
//!
//!     let service = ServiceBuilder::new()
//!         .layer(JwtLayer::new(LiveKeys::new(keys), rules))
//!         .service_fn(|request: Request<Full<Bytes>>| async move {
//!             let context = RequestContext::of(request.extensions());
//!             let principal = context.and_then(RequestContext::principal);
//!             let id = principal.map_or("anonymous", Principal::id).to_owned();
//!             Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(id))))
//!         });
//!
//!     let key = SigningKey::hmac(Algorithm::Hs256, &secret)?;
//!     let issuer = TokenIssuer::new(key, "https://login.example.com", "https://api.example.com");
//!     let token = issuer.issue("alice", &"chat:write".parse()?)?;
//!     let with = Request::builder()
//!         .header("authorization", format!("Bearer {}", token.expose()))
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
//! With the key set of an identity provider (here RFC 7515, appendix A.3), a custom scope claim,
//! revocation, and problem JSON:
//!
//! ```
//! use std::{convert::Infallible, sync::Arc};
//!
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use stockade_core::{
//!     clock::{Clock, Timestamp},
//!     refusal::{ErrorFormat, Responder},
//! };
//! use stockade_jwt::{Algorithm, JwtLayer, KeySet, LiveKeys, RevocationList, TokenRules};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! const TOKEN: &str = concat!(
//!     "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkz",
//!     "ODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6",
//!     "-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
//! );
//!
//! /// The token of the RFC expired in 2011. Servers keep the default, the system clock.
//! struct In2011;
//!
//! impl Clock for In2011 {
//!     fn now(&self) -> Timestamp {
//!         Timestamp::from_secs(1_300_819_379)
//!     }
//! }
//!
//! async fn status(tokens: JwtLayer) -> Result<StatusCode, Box<dyn std::error::Error>> {
//!     let responder = Responder::default().default_format(ErrorFormat::Problem);
//!     let service = ServiceBuilder::new()
//!         .layer(tokens.responder(responder))
//!         .service_fn(|_: Request<Full<Bytes>>| async {
//!             Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
//!         });
//!     let request = Request::builder()
//!         .header("authorization", format!("Bearer {TOKEN}"))
//!         .body(Full::default())?;
//!     Ok(service.oneshot(request).await?.status())
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let jwks = r#"{"keys": [{
//!         "kty": "EC", "crv": "P-256",
//!         "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
//!         "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
//!     }]}"#;
//!     let keys = LiveKeys::new(KeySet::from_jwks(jwks, &[Algorithm::Es256])?);
//!     let rules = TokenRules::new("joe", "")
//!         .dangerous_no_audience()
//!         .subject_claim("iss")
//!         .scope_claim("permissions");
//!     let tokens = JwtLayer::new(keys.clone(), rules.clone()).clock(In2011);
//!     assert_eq!(status(tokens).await?, StatusCode::OK);
//!
//!     // The token has no `jti`, so it is rejected when tokens must be revocable.
//!     let strict = JwtLayer::new(keys, rules)
//!         .clock(In2011)
//!         .revocations(Arc::new(RevocationList::default()));
//!     assert_eq!(status(strict).await?, StatusCode::UNAUTHORIZED);
//!     Ok(())
//! }
//! ```
//!
//! # See also
//! - [Access tokens](https://github.com/stockade-rs/stockade/blob/main/docs/src/jwt.md) in the
//!   book.
//! - [`stockade-key-auth`](https://docs.rs/stockade-key-auth) authenticates by API keys;
//!   `JwtLayer::or` accepts both.
//! - [`stockade-scope`](https://docs.rs/stockade-scope) decides which routes a token may call.
//! - [`stockade-cli`](https://docs.rs/stockade-cli) issues, inspects and revokes tokens.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod algorithm;
mod bearer;
mod cache;
mod claims;
mod digest;
mod guard;
mod header;
mod issuer;
mod json;
mod jwk;
#[cfg(feature = "jwks-url")]
mod jwks;
mod key;
mod key_error;
mod key_set;
mod layer;
mod random;
mod refresh;
mod refresh_store;
mod refresh_tokens;
mod refusal;
mod revocation;
mod revocation_file;
mod roca;
mod rules;
mod secret;
mod signing_key;
mod source;
mod token;
mod token_error;
mod verifier;
mod verify;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use digest::TokenDigest;
pub use guard::{JwtAuth, JwtPass};
pub use issuer::{AccessToken, IssueError, TokenIssuer};
#[cfg(feature = "jwks-url")]
pub use jwks::{HttpFetch, JwksError, JwksErrorKind, JwksFetch, JwksUrl, RefreshPolicy};
pub use key::VerifyingKey;
pub use key_error::{KeyError, KeyErrorKind};
pub use key_set::KeySet;
pub use layer::JwtLayer;
pub use refresh::{RefreshFamily, Rotation, RotationRequest};
pub use refresh_store::{MemoryRefreshStore, RefreshStore, RefreshStoreError, RefreshStoreFuture};
pub use refresh_tokens::{
    RefreshError, RefreshErrorKind, RefreshToken, RefreshTokens, RotatedToken,
};
pub use revocation::{
    RevocationError, RevocationErrorKind, RevocationList, RevocationStatus, RevocationStore,
};
pub use revocation_file::{RevocationFile, RevocationFileError, RevocationFileErrorKind};
pub use rules::TokenRules;
pub use secret::Secret;
pub use signing_key::SigningKey;
pub use source::{KeyRefresh, KeySource, LiveKeys};
