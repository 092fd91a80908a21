//! Authorization by route and scope as a tower layer, with default deny.
//!
//! ```sh
//! cargo add stockade-scope
//! ```
//!
//! # Rules
//! 1. A route is a method and a pattern in axum's syntax (`/v1/models/{id}`), or the path of a gRPC
//!    method (`/package.Service/Method`). Routes without a rule are denied.
//! 2. The route is the [`MatchedRoute`](stockade_core::context::MatchedRoute) of the router, if
//!    set. Otherwise the path is matched with the matcher that axum uses. Ambiguous paths are a
//!    400 first, so that guard and router never disagree.
//! 3. `HEAD` requires what `GET` requires. Headers and parameters that override the method are
//!    ignored.
//! 4. An anonymous request gets a 401. A principal without the required scopes gets a 403 with
//!    `error="insufficient_scope"` and the scopes (RFC 6750, section 3.1). An unsupported method of
//!    a known route is a 405, and a route without a rule a 404.
//! 5. A principal has its own scopes, and those of its roles if the guard is configured with
//!    [`Roles`]. `*` grants all scopes; no other scope implies another.
//! 6. When no authenticator ran, the response is a 500, because the layers are in the wrong order.
//!
//! # Deployment notes
//! - The guard reads the principal that an authenticator inserted. Add the authentication layer
//!   outside of this one.
//! - A public route is open to every request, including clients with a key without scopes. It
//!   still requires an authenticator that allows anonymous requests.
//!
//! # Examples
//! ```toml
//! [dependencies]
//! axum = "0.8"
//! bytes = "1"
//! http = "1"
//! http-body-util = "0.1"
//! stockade-core = "0.1"
//! stockade-scope = "0.1"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! tower = { version = "0.5", features = ["util"] }
//! ```
//!
//! A public route, and one that requires a scope:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::{Method, Request, Response, StatusCode};
//! use http_body_util::Full;
//! use stockade_core::{context::RequestContext, identity::Principal};
//! use stockade_scope::{Access, ScopeLayer};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let scopes = ScopeLayer::builder()
//!         .route(Method::GET, "/health", Access::public())
//!         .route(Method::POST, "/v1/chat/completions", Access::scope("chat:write".parse()?))
//!         .build()?;
//!     let service = ServiceBuilder::new().layer(scopes).service_fn(
//!         |_: Request<Full<Bytes>>| async {
//!             Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
//!         },
//!     );
//!
//!     // An authentication layer would set the principal:
//!     let reader = Principal::builder("reader").scopes("models:read".parse()?).build();
//!     let writer = Principal::builder("writer").scopes("chat:write".parse()?).build();
//!     let chat = |principal| {
//!         let context = RequestContext::builder().principal(principal).build();
//!         Request::post("/v1/chat/completions").extension(context).body(Full::default())
//!     };
//!
//!     let passed = service.clone().oneshot(chat(writer)?).await?;
//!     assert_eq!(passed.status(), StatusCode::OK);
//!
//!     let refused = service.oneshot(chat(reader)?).await?;
//!     assert_eq!(refused.status(), StatusCode::FORBIDDEN);
//!     assert_eq!(
//!         refused.headers()["www-authenticate"],
//!         r#"Bearer realm="api", error="insufficient_scope", scope="chat:write""#,
//!     );
//!     Ok(())
//! }
//! ```
//!
//! In an axum router, with the route that axum matched. With `Router::layer` the guard runs after
//! routing, so that nested routes have their whole pattern:
//!
//! ```
//! use axum::{
//!     Router,
//!     body::Body,
//!     extract::{MatchedPath, Request},
//!     routing::get,
//! };
//! use http::{Method, StatusCode};
//! use stockade_core::{
//!     context::{MatchedRoute, RequestContext},
//!     identity::Principal,
//! };
//! use stockade_scope::{Access, ScopeLayer};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! /// Sets the route that axum matched.
//! fn matched_route(mut request: Request) -> Request {
//!     if let Some(path) = request.extensions().get::<MatchedPath>() {
//!         let route = MatchedRoute::new(path.as_str());
//!         RequestContext::get_or_insert(request.extensions_mut()).set_route(route);
//!     }
//!     request
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let scopes = ScopeLayer::builder()
//!         .route(Method::GET, "/v1/models/{id}", Access::scope("models:read".parse()?))
//!         .build()?;
//!     let app: Router = Router::new()
//!         .nest("/v1", Router::new().route("/models/{id}", get(async || "a model")))
//!         .route("/forgotten", get(async || "a secret"))
//!         .layer(ServiceBuilder::new().map_request(matched_route).layer(scopes));
//!
//!     let reader = Principal::builder("reader").scopes("models:read".parse()?).build();
//!     let request = |path: &str| {
//!         let context = RequestContext::builder().principal(reader.clone()).build();
//!         Request::get(path).extension(context).body(Body::empty())
//!     };
//!     let passed = app.clone().oneshot(request("/v1/models/tiny")?).await?;
//!     assert_eq!(passed.status(), StatusCode::OK);
//!
//!     // This route has no rule.
//!     let refused = app.oneshot(request("/forgotten")?).await?;
//!     assert_eq!(refused.status(), StatusCode::NOT_FOUND);
//!     Ok(())
//! }
//! ```
//!
//! Roles, and a test that every route of a router has a rule:
//!
//! ```
//! use http::{Method, Request};
//! use stockade_core::{
//!     context::RequestContext,
//!     guard::{Check, Guard, Head},
//!     identity::Principal,
//! };
//! use stockade_scope::{Access, Roles, ScopeGuard};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // The guard behind `ScopeLayer`, which decides without a service.
//!     let guard = ScopeGuard::builder()
//!         .roles(Roles::standard())
//!         .route(Method::GET, "/v1/models", Access::scope("models:read".parse()?))
//!         .route(Method::DELETE, "/keys/{id}", Access::scope("keys:write".parse()?))
//!         .build()?;
//!
//!     let viewer = Principal::builder("v").scopes("role:viewer".parse()?).build();
//!     let head = |method: Method, path: &str| {
//!         let context = RequestContext::builder().principal(viewer.clone()).build();
//!         let request = Request::builder().method(method).uri(path).extension(context);
//!         request.body(()).map(|request| Head::new(request.into_parts().0))
//!     };
//!     assert!(matches!(guard.check(&head(Method::GET, "/v1/models")?), Check::Pass(())));
//!     assert!(matches!(guard.check(&head(Method::DELETE, "/keys/a")?), Check::Refuse(_)));
//!
//!     let routes = [(Method::GET, "/v1/models"), (Method::POST, "/v1/embeddings")];
//!     let error = guard.coverage(routes).unwrap_err();
//!     assert_eq!(error.without_rule(), ["POST /v1/embeddings"]);
//!     assert_eq!(error.without_route(), ["DELETE /keys/{id}"]);
//!     Ok(())
//! }
//! ```
//!
//! Alternative scopes, combined scopes, and a gRPC method:
//!
//! ```
//! use http::Method;
//! use stockade_scope::{Access, ScopeLayer};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let admin = ["keys:write".parse()?, "audit:read".parse()?];
//!     let scopes = ScopeLayer::builder()
//!         .realm("models")
//!         .route(
//!             Method::GET,
//!             "/v1/models/{id}",
//!             Access::any_of(["models:read".parse()?, "admin".parse()?]),
//!         )
//!         .route(Method::DELETE, "/admin/keys/{id}", Access::all_of(admin))
//!         .route(Method::POST, "/llm.v1.Chat/Complete", Access::scope("chat:write".parse()?))
//!         .build()?;
//!     assert!(!scopes.is_public(&Method::GET, "/v1/models/{id}"));
//!
//!     // Duplicate rules are rejected when the table is built.
//!     let twice = ScopeLayer::builder()
//!         .route(Method::GET, "/health", Access::public())
//!         .route(Method::GET, "/health", Access::scope("admin".parse()?))
//!         .build();
//!     assert!(twice.is_err());
//!     Ok(())
//! }
//! ```
//!
//! # See also
//! - [Scopes](https://github.com/stockade-rs/stockade/blob/main/docs/src/scopes.md) in the book.
//! - [`stockade-key-auth`](https://docs.rs/stockade-key-auth) and
//!   [`stockade-jwt`](https://docs.rs/stockade-jwt) authenticate.
//! - [`stockade`](https://docs.rs/stockade) has all layers in the right order.
//! - Examples: [`axum-keys`](https://github.com/stockade-rs/stockade/tree/main/examples/axum-keys).

#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod builder;
mod coverage;
mod guard;
mod layer;
mod path;
mod roles;
mod table;

pub use access::Access;
pub use builder::ScopeBuilder;
pub use coverage::CoverageError;
pub use guard::ScopeGuard;
pub use layer::ScopeLayer;
pub use roles::{RoleError, Roles};
pub use table::{RouteTableError, RouteTableErrorKind};
