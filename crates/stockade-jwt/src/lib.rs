//! JWT bearer authentication as a tower layer, and issuance of the tokens.
//!
//! # Rules
//! 1. A token is taken from `Authorization: Bearer <token>`, never from the query or the
//!    body. Two tokens that differ are a 400.
//! 2. No token is a 401 with `WWW-Authenticate: Bearer realm="api"`; a token that is not
//!    valid is a 401 with `error="invalid_token"` and one message, whatever is wrong with
//!    it. The cause is in the [`Verdict`](stockade_core::refusal::Denial), for logs.
//! 3. The algorithm belongs to the key and comes from the configuration
//!    ([`VerifyingKey`]). A token chooses neither its algorithm nor its key: `none`
//!    is no [`Algorithm`], a public key is refused as a [`Secret`], and `jwk`, `jku`,
//!    `x5u` and `x5c` are not looked at.
//! 4. A token longer than 8 KiB is refused unread, and nothing of its payload is read
//!    before its signature was verified. `crit`, `b64`, `zip` and `cty` are refused, and so
//!    is a member that is there twice, in the header and in the claims, at every depth.
//!    A token with `cnf` (RFC 7800, RFC 8705, RFC 9449) is refused: it is bound to a key or a
//!    connection that nothing here verifies.
//! 5. `exp` is required; it, `nbf` and `iat` are whole numbers of seconds, judged by
//!    Stockade's [`Clock`](stockade_core::clock::Clock) with a leeway of 60 seconds. `iss` and
//!    `aud` match byte by byte; a token with an `aud` is refused where none is configured.
//! 6. A verified token is remembered under the SHA-256 of its whole text until it expires,
//!    so that it costs a hash and no signature. It is forgotten when the keys change, and
//!    a token that was revoked ([`RevocationStore`]) is refused on the next request.
//! 7. A handler sees a [`Principal`](stockade_core::identity::Principal), and never the token: the
//!    header is removed.
//! 8. Keys behind a URL (`JwksUrl`, by the feature `jwks-url`) are fetched over HTTPS
//!    without redirects, at most 256 KiB in 5 seconds, at most once a cool-down whatever
//!    tokens name. The last good set stays in force for 24 hours at most; without one the
//!    answer is a 503. A set is refused as a whole when it has two keys of one `kid`, an RSA
//!    key that is weak (under 2048 bits, or ROCA), or secrets among public keys.
//! 9. A refresh token is good once. One that comes again ends its login
//!    ([`RefreshTokens`]).
//!
//! # Knowing before deploying
//! - HS256, HS384 and HS512 are for a server that verifies its own tokens: whoever can
//!   verify can issue. Use EdDSA or ES256 between servers.
//! - A token stays good until it expires, unless its `jti` is revoked, which wants a
//!   store. With one, tokens without a `jti` are refused. Revoke until `exp` plus the
//!   leeway; `TokenRules::attribute("jti", ..)` tells a handler the id of its own token.
//! - [`RevocationList`] and [`MemoryRefreshStore`] live in one process and are gone with
//!   it. Full, they refuse new entries and forget no old ones. [`RevocationFile`] outlives
//!   the process, and is what `stockade token revoke` writes.
//! - A key that an issuer withdraws from its JWKS stays good until the set has grown old
//!   (10 minutes), and for 24 hours while it cannot be fetched
//!   (`RefreshPolicy::max_stale`). Alert on `JwksUrl::status`.
//! - `*` as a scope in a token is all scopes: configure only issuers that you would give
//!   them to, or use another `scope_claim`.
//! - A client that loses the answer to a refresh has to log in again: its old token counts
//!   as stolen.
//! - Signatures are verified by `jsonwebtoken` with AWS-LC, which is C and wants a C
//!   compiler. Its other backend would bring the `rsa` crate, whose timing leaks private
//!   keys (RUSTSEC-2023-0071), and takes RSA keys of any length.
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
//! With defaults, and tokens of one's own:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use stockade_core::{guard::Guard, identity::Principal};
//! use stockade_jwt::{
//!     Algorithm, JwtAuth, KeySet, LiveKeys, Secret, SigningKey, TokenIssuer, TokenRules,
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
//!         .layer(JwtAuth::new(LiveKeys::new(keys), rules).into_layer())
//!         .service_fn(|request: Request<Full<Bytes>>| async move {
//!             let principal = RequestContext::of(request.extensions()).and_then(RequestContext::principal).unwrap().id().to_owned();
//!             Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(principal))))
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
//! With the key set of an identity provider (here RFC 7515, appendix A.3), scopes from
//! another claim, revocation, and problem JSON:
//!
//! ```
//! use std::{convert::Infallible, sync::Arc};
//!
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use stockade_core::{clock::{Clock, Timestamp}, guard::GuardLayer, refusal::{ErrorFormat, Responder}};
//! use stockade_jwt::{Algorithm, JwtAuth, KeySet, LiveKeys, RevocationList, TokenRules};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! const TOKEN: &str = concat!(
//!     "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkz",
//!     "ODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6",
//!     "-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
//! );
//!
//! /// The token of the RFC expired in 2011. A server keeps the default, the system's clock.
//! struct In2011;
//!
//! impl Clock for In2011 {
//!     fn now(&self) -> Timestamp {
//!         Timestamp::from_secs(1_300_819_379)
//!     }
//! }
//!
//! async fn status(guard: JwtAuth) -> Result<StatusCode, Box<dyn std::error::Error>> {
//!     let responder = Responder::default().default_dialect(ErrorFormat::Problem);
//!     let service = ServiceBuilder::new()
//!         .layer(GuardLayer::with_responder(guard, responder))
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
//!     let guard = JwtAuth::new(keys.clone(), rules.clone()).clock(In2011);
//!     assert_eq!(status(guard).await?, StatusCode::OK);
//!
//!     // The same token has no `jti`, so it is refused where tokens must be revocable.
//!     let strict = JwtAuth::new(keys, rules)
//!         .clock(In2011)
//!         .revocations(Arc::new(RevocationList::default()));
//!     assert_eq!(status(strict).await?, StatusCode::UNAUTHORIZED);
//!     Ok(())
//! }
//! ```

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
