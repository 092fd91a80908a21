//! Guards for HTTP and gRPC requests, and the driver that runs them as
//! [tower](https://docs.rs/tower) services.
//!
//! ```sh
//! cargo add stockade-core
//! ```
//!
//! The layers of the Stockade family are built on this crate. Use it to write a guard of your
//! own; the page [Writing a guard](https://docs.rs/stockade/latest/stockade/guide) shows how.
//!
//! # Rules
//! 1. A **guard** looks at the head of a request and passes it, refuses it, or waits first
//!    ([`Guard`](guard::Guard), [`guard_fn`](guard::guard_fn),
//!    [`async_guard_fn`](guard::async_guard_fn)). It knows no tower, no body and no server.
//! 2. **One driver** ([`GuardLayer`](guard::GuardLayer)) runs a guard, or a chain of them
//!    ([`GuardStack::then`](guard::GuardStack::then)), as one tower service with one future
//!    and one response body. A chain does what separate layers would do, at a lower cost. The
//!    inner service must be `Clone` only if a guard waits.
//! 3. A **refusal** is a response, never an `Err`: errors of the inner service pass through
//!    unchanged, and a guard has none.
//! 4. Refusals become responses in one place ([`Responder`](refusal::Responder)), in the format
//!    of the caller: OpenAI JSON, RFC 9457 problem JSON, or a gRPC trailers-only response. The
//!    headers of the protocol (`WWW-Authenticate`, `Retry-After`) are always added, and a custom
//!    responder cannot turn a refusal into a success.
//! 5. A **response hook** ([`ResponseHook`](guard::ResponseHook), [`Keep`](guard::Keep)) lives
//!    until the response body has ended, failed or was dropped by the client, and receives that
//!    [`Outcome`](guard::Outcome) exactly once.
//! 6. Each request has **one context** ([`RequestContext`](context::RequestContext)): arrival
//!    time, id, client, route, identity, model request and usage. Guards, layers and handlers
//!    read and write the same one.
//! 7. A client does not choose its address ([`TrustedProxies`](client::TrustedProxies)), its
//!    request id, or its [`Identity`](identity::Identity). Anonymous is not a principal.
//!
//! The design and its decisions are described in
//! [the architecture](https://github.com/stockade-rs/stockade/blob/main/docs/src/architecture.md).
//!
//! # Before deploying
//! - The response bodies of the inner service must have `Bytes` as their data type, as those of
//!   axum, tonic and hyper do.
//! - Put [`ContextLayer`](context::ContextLayer) outermost if there is a proxy in front. Without
//!   it, the client is the peer of the socket.
//! - `101 Switching Protocols` ends a response hook when the (empty) response body ends. The
//!   upgraded connection is not observed.
//!
//! # Example
//! ```toml
//! [dependencies]
//! bytes = "1"
//! http = "1"
//! http-body-util = "0.1"
//! stockade-core = "0.1"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! tower = { version = "0.5", features = ["util"] }
//! ```
//!
//! A guard that requires a header. One request passes, one is refused:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use stockade_core::{
//!     guard::{Guard, Head, guard_fn},
//!     refusal::{Refusal, RefusalKind},
//! };
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! fn teapot(head: &Head) -> Result<(), Refusal> {
//!     match head.headers.contains_key("x-teapot") {
//!         true => Ok(()),
//!         false => Err(Refusal::new(RefusalKind::Forbidden, "a teapot is required")),
//!     }
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() {
//!     let service = ServiceBuilder::new()
//!         .layer(guard_fn("teapot", teapot).into_layer())
//!         .service_fn(|_request: Request<Full<Bytes>>| async {
//!             Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("tea"))))
//!         });
//!
//!     let with = Request::builder().header("x-teapot", "1").body(Full::default()).unwrap();
//!     assert_eq!(service.clone().oneshot(with).await.unwrap().status(), StatusCode::OK);
//!
//!     let without = Request::new(Full::default());
//!     assert_eq!(service.oneshot(without).await.unwrap().status(), StatusCode::FORBIDDEN);
//! }
//! ```
//!
//! # See also
//! - [Composing layers](https://github.com/stockade-rs/stockade/blob/main/docs/src/composing.md) in
//!   the book.
//! - Layers: [`stockade-key-auth`](https://docs.rs/stockade-key-auth),
//!   [`stockade-jwt`](https://docs.rs/stockade-jwt),
//!   [`stockade-scope`](https://docs.rs/stockade-scope),
//!   [`stockade-rate-limit`](https://docs.rs/stockade-rate-limit),
//!   [`stockade-abuse`](https://docs.rs/stockade-abuse),
//!   [`stockade-body`](https://docs.rs/stockade-body),
//!   [`stockade-audit`](https://docs.rs/stockade-audit).
//! - [`stockade-testkit`](https://docs.rs/stockade-testkit) checks that a guard keeps the contract
//!   of the driver.
//! - Examples:
//!   [`hyper-keys`](https://github.com/stockade-rs/stockade/tree/main/examples/hyper-keys),
//!   [`tonic-keys`](https://github.com/stockade-rs/stockade/tree/main/examples/tonic-keys).

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod client;
pub mod clock;
pub mod context;
pub mod guard;
pub mod identity;
pub mod llm;
pub mod refusal;
