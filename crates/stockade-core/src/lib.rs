//! The words Stockade's layers share, and the one driver that runs a guard as a
//! [tower](https://docs.rs/tower) service.
//!
//! # Rules
//! 1. A **guard** looks at a request's head and passes it, refuses it, or waits first
//!    ([`Guard`](guard::Guard), [`Check`](guard::Check)). It contains no tower, no body and no server.
//! 2. The **driver** ([`GuardLayer`](guard::GuardLayer), [`Guarded`](guard::Guarded), [`ResponseFuture`](guard::ResponseFuture), [`GuardedBody`](guard::GuardedBody))
//!    is the only hand-written `poll_ready` and `call` of these layers, and the only body of
//!    responses. It allocates and boxes nothing when a guard passes at once. What it runs is
//!    a guard, a guard that looks at bodies ([`BodyGuard`](guard::BodyGuard)), or a [`Chain`](guard::Chain) of them
//!    ([`GuardStack::then`](guard::GuardStack::then)), which does what a layer each would do.
//! 3. A refusal is a response, never an `Err`: the inner service's errors go through
//!    unchanged, and a guard has none of its own.
//! 4. A refusal is built in one place ([`Responder`](refusal::Responder)), in the dialect that the client
//!    speaks: OpenAI JSON, RFC 9457 problem JSON, or a gRPC trailers-only response.
//!    Protocol headers (`WWW-Authenticate`, `Retry-After`) are added after it, and a
//!    responder of the user's own cannot turn a refusal into success.
//! 5. What a guard **holds** ([`ResponseHook`](guard::ResponseHook)) lives until the response body has ended, failed,
//!    or was dropped by the client, and hears of that exactly once.
//! 6. Nothing that a client sends chooses its own address ([`TrustedProxies`](client::TrustedProxies)), its own
//!    request id, or its own [`Principal`](identity::Principal).
//!
//! # The driver's shape, and why
//! The first sketch was `check(&self, head, context) -> impl Future`. A future that
//! borrows the head must live beside it in the driver's own future, which needs a box
//! or `unsafe`. So [`Guard::check`](guard::Guard::check) is a plain function that answers at once where it
//! can, and otherwise returns a future that owns what it needs. What changes the
//! request (an inserted principal, a stripped header) happens in [`Guard::admit`](guard::Guard::admit), after
//! the verdict: a refused request is never touched. A guard that never waits names
//! [`NoWait`](guard::NoWait) as its future, and the driver's waiting state disappears from the type.
//!
//! The context is in the [`Head`](guard::Head), since a guard may stand where there is none.
//!
//! A principal was to be in the context and an extension of its own besides. A second
//! extension costs an allocation and, with a router's own, a bigger table: a third of what
//! key auth costs. So it is in one of the two, and [`Principal::of`](identity::Principal::of) knows which.
//!
//! A layer each was to be enough. But each layer takes the request apart and puts it
//! together, moves the future of all that is inside of it, and wraps the body once more: ten
//! of them cost more than what they decide. So the driver runs a [`Chain`](guard::Chain) as if it were one
//! guard. A property test compares the two in all that can be seen.
//!
//! Records and bodies were layers of their own at first, with drivers of their own, because
//! they look at bodies. Two hooks have made them guards: [`BodyGuard`](guard::BodyGuard), which may wait for
//! the body in the middle of a chain, and [`ResponseHook::on_data`](guard::ResponseHook::on_data). Now a whole fence is one service,
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
//! use stockade_core::{guard::{Check, Guard, GuardLayer, Head, NoWait}, refusal::{Refusal, RefusalKind}};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! struct WantsTeapot;
//!
//! impl Guard for WantsTeapot {
//!     const NAME: &'static str = "teapot";
//!     type Pass = ();
//!     type Hook = ();
//!     type Wait = NoWait;
//!
//!     fn check(&self, head: &Head) -> Check<(), NoWait> {
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

pub mod client;
pub mod clock;
pub mod context;
pub mod guard;
pub mod identity;
pub mod llm;
pub mod refusal;
