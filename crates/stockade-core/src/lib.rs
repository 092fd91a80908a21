//! The words Stockade's layers share, and the one driver that runs a guard as a
//! [tower](https://docs.rs/tower) service.
//!
//! # Rules
//! 1. A **guard** looks at a request's head and passes it, refuses it, or waits first
//!    ([`Guard`], [`Check`]). It contains no tower, no body and no server.
//! 2. The **driver** ([`GuardLayer`], [`Guarded`], [`ResponseFuture`], [`GuardedBody`])
//!    is the only hand-written `poll_ready` and `call` of these layers, and the only body of
//!    responses. It allocates and boxes nothing when a guard passes at once. What it runs is
//!    a guard, a guard that looks at bodies ([`BodyGuard`]), or a [`Chain`] of them
//!    ([`Guards::then`]), which does what a layer each would do.
//! 3. A refusal is a response, never an `Err`: the inner service's errors go through
//!    unchanged, and a guard has none of its own.
//! 4. A refusal is built in one place ([`Responder`]), in the dialect that the client
//!    speaks: OpenAI JSON, RFC 9457 problem JSON, or a gRPC trailers-only response.
//!    Protocol headers (`WWW-Authenticate`, `Retry-After`) are added after it, and a
//!    responder of the user's own cannot turn a refusal into success.
//! 5. What a guard **holds** ([`Hold`]) lives until the response body has ended, failed,
//!    or was dropped by the client, and hears of that exactly once.
//! 6. Nothing that a client sends chooses its own address ([`TrustedProxies`]), its own
//!    request id, or its own [`Principal`].
//!
//! # The driver's shape, and why
//! The first sketch was `check(&self, head, context) -> impl Future`. A future that
//! borrows the head must live beside it in the driver's own future, which needs a box
//! or `unsafe`. So [`Guard::check`] is a plain function that answers at once where it
//! can, and otherwise returns a future that owns what it needs. What changes the
//! request (an inserted principal, a stripped header) happens in [`Guard::admit`], after
//! the verdict: a refused request is never touched. A guard that never waits names
//! [`Never`] as its future, and the driver's waiting state disappears from the type.
//!
//! The context is in the [`Head`], since a guard may stand where there is none.
//!
//! A principal was to be in the context and an extension of its own besides. A second
//! extension costs an allocation and, with a router's own, a bigger table: a third of what
//! key auth costs. So it is in one of the two, and [`Principal::of`] knows which.
//!
//! A layer each was to be enough. But each layer takes the request apart and puts it
//! together, moves the future of all that is inside of it, and wraps the body once more: ten
//! of them cost more than what they decide. So the driver runs a [`Chain`] as if it were one
//! guard. A property test compares the two in all that can be seen.
//!
//! Records and bodies were layers of their own at first, with drivers of their own, because
//! they look at bodies. Two hooks have made them guards: [`BodyGuard`], which may wait for
//! the body in the middle of a chain, and [`Hold::data`]. Now a whole fence is one service,
//! one future and one response body, and whatever holds on to a response hears of a panic,
//! of an answer to `HEAD`, and of a server that stops after the last byte in the same way.
//!
//! Only a guard that waits needs a clone of the inner service. A guard that answers at
//! once calls the very instance that was polled ready.
//!
//! # Knowing before deploying
//! - Responses of the inner service must have `Bytes` as their data type, as axum's,
//!   tonic's and hyper's usual bodies have.
//! - `101 Switching Protocols` ends a hold when the response's (empty) body ends: what
//!   follows on the upgraded connection is not seen.
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
//! A guard that wants a header; one request passes, one is refused:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use stockade_core::{Check, Guard, GuardLayer, Head, Never, Refusal, RefusalKind};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! struct WantsTeapot;
//!
//! impl Guard for WantsTeapot {
//!     const NAME: &'static str = "teapot";
//!     type Pass = ();
//!     type Hold = ();
//!     type Wait = Never<()>;
//!
//!     fn check(&self, head: &Head) -> Check<(), Never<()>> {
//!         if head.headers.contains_key("x-teapot") {
//!             Check::Pass(())
//!         } else {
//!             Check::Refuse(Refusal::new(RefusalKind::Forbidden, "a teapot is needed"))
//!         }
//!     }
//!
//!     fn admit(&self, _pass: (), _head: &mut Head) {}
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() {
//!     let service = ServiceBuilder::new().layer(GuardLayer::new(WantsTeapot)).service_fn(
//!         |_request: Request<Full<Bytes>>| async {
//!             Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("tea"))))
//!         },
//!     );
//!
//!     let with = Request::builder().header("x-teapot", "1").body(Full::default()).unwrap();
//!     assert_eq!(service.clone().oneshot(with).await.unwrap().status(), StatusCode::OK);
//!
//!     let without = Request::new(Full::default());
//!     assert_eq!(service.oneshot(without).await.unwrap().status(), StatusCode::FORBIDDEN);
//! }
//! ```

mod authenticator;
mod body;
mod body_guard;
mod chain;
mod challenge;
mod client_ip;
mod clock;
mod constant_time;
mod context;
mod context_guard;
mod counted_body;
mod demand;
mod except_probes;
mod forwarded;
mod future;
mod grpc_status;
mod guard;
mod guards;
mod head;
mod held;
mod hold;
mod layer;
mod prefix;
mod principal;
mod prompt_digest;
mod refusal;
mod refusal_reason;
mod request_id;
mod responder;
mod route;
mod scope;
mod service;
mod standing_refusal;
mod usage;

pub use authenticator::{Authenticator, EitherAuth, EitherPass, EitherWait, is_token_shaped};
pub use body::GuardedBody;
pub use body_guard::{Bodies, BodyGuard};
pub use chain::{Chain, ChainWait};
pub use challenge::BearerChallenge;
pub use client_ip::{ClientBucket, ClientIp, ForwardingHeader, PeerAddr, TrustedProxies};
pub use clock::{Clock, SystemClock, Timestamp};
pub use constant_time::constant_time_eq;
pub use context::{RequestContext, Verdict};
pub use context_guard::{ContextGuard, RequestIdHeader};
pub use counted_body::CountedBody;
pub use demand::Demand;
pub use except_probes::ExceptProbes;
pub use future::ResponseFuture;
pub use grpc_status::grpc_status;
pub use guard::{BoxWait, Check, Guard, Never, OptionWait};
pub use guards::{GuardWait, Guards, Refused, Step, Takes};
pub use head::Head;
pub use hold::{End, Hold, Holds};
pub use layer::GuardLayer;
pub use prefix::{IpPrefix, IpPrefixError};
pub use principal::{Principal, PrincipalBuilder, QuotaOverrides};
pub use prompt_digest::PromptDigest;
pub use refusal::{Refusal, RefusalKind, Violation};
pub use refusal_reason::RefusalReason;
pub use request_id::RequestId;
pub use responder::{Denied, Dialect, Responder, is_grpc_route};
pub use route::MatchedRoute;
pub use scope::{Scope, ScopeError, ScopeSet};
pub use service::Guarded;
pub use standing_refusal::StandingRefusal;
pub use usage::Usage;
