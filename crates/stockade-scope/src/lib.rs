//! Which scope a route needs, as a tower layer that denies what is not declared.
//!
//! # Rules
//! 1. A route is a method and a pattern (`/v1/models/{id}`, in axum's syntax), or a gRPC
//!    method's path (`/package.Service/Method`). A request to a route without a rule is
//!    refused, whoever makes it.
//! 2. The route is the one that the router matched, where it left a
//!    [`MatchedRoute`](stockade_core::context::MatchedRoute); otherwise the path is matched by the
//!    same matcher that axum uses. Paths that servers read in different ways are a 400
//!    before that, so that guard and router never disagree.
//! 3. `HEAD` needs what `GET` needs. Headers and parameters that would override the method
//!    are not looked at.
//! 4. Without a principal of its own (anonymous) a request gets a 401; with one that may
//!    not do this a 403 with `error="insufficient_scope"` and the scopes that are needed
//!    (RFC 6750, section 3.1). A method that a known route does not have is a 405, and a
//!    route without a rule a 404.
//! 5. A principal has the scopes it was given, and those of its roles where the guard was
//!    given [`Roles`]. Nothing else implies a scope, but `*`, which is all of them.
//! 6. Where no authenticator ran at all, the answer is a 500: the layers are in the wrong
//!    order, and nobody shall find that out by getting in.
//!
//! # Knowing before deploying
//! - The guard reads the principal that an authenticator put into the request. Put the
//!   authenticator outside of it.
//! - A public route lets everybody in, also clients with a key that lacks every scope. It
//!   still needs an authenticator that lets anonymous requests pass.
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
//! One route that everybody may use, and one that needs a scope:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::{Method, Request, Response, StatusCode};
//! use http_body_util::Full;
//! use stockade_core::{context::RequestContext, guard::Guard, identity::Principal};
//! use stockade_scope::{Access, ScopeGuard};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let guard = ScopeGuard::builder()
//!         .route(Method::GET, "/health", Access::public())
//!         .route(Method::POST, "/v1/chat/completions", Access::scope("chat:write".parse()?))
//!         .build()?;
//!     let service = ServiceBuilder::new().layer(guard.into_layer()).service_fn(
//!         |_: Request<Full<Bytes>>| async {
//!             Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
//!         },
//!     );
//!
//!     // What an authenticator would have found out:
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
//! In an axum router, judging the route that axum matched. Put on with `Router::layer`, the
//! guard comes after the routing, so that nested routes are known by their whole pattern:
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
//!     guard::Guard,
//!     identity::Principal,
//! };
//! use stockade_scope::{Access, ScopeGuard};
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
//!     let guard = ScopeGuard::builder()
//!         .route(Method::GET, "/v1/models/{id}", Access::scope("models:read".parse()?))
//!         .build()?;
//!     let app: Router = Router::new()
//!         .nest("/v1", Router::new().route("/models/{id}", get(async || "a model")))
//!         .route("/forgotten", get(async || "a secret"))
//!         .layer(ServiceBuilder::new().map_request(matched_route).layer(guard.into_layer()));
//!
//!     let reader = Principal::builder("reader").scopes("models:read".parse()?).build();
//!     let request = |path: &str| {
//!         let context = RequestContext::builder().principal(reader.clone()).build();
//!         Request::get(path).extension(context).body(Body::empty())
//!     };
//!     let passed = app.clone().oneshot(request("/v1/models/tiny")?).await?;
//!     assert_eq!(passed.status(), StatusCode::OK);
//!
//!     // No rule is for this route.
//!     let refused = app.oneshot(request("/forgotten")?).await?;
//!     assert_eq!(refused.status(), StatusCode::NOT_FOUND);
//!     Ok(())
//! }
//! ```
//!
//! Roles, and a test that no route of a router is without a rule:
//!
//! ```
//! use http::Method;
//! use stockade_core::{guard::{Check, Head}, identity::Principal, guard::Guard};
//! use stockade_scope::{Access, Roles, ScopeGuard};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let guard = ScopeGuard::builder()
//!         .roles(Roles::standard())
//!         .route(Method::GET, "/v1/models", Access::scope("models:read".parse()?))
//!         .route(Method::DELETE, "/keys/{id}", Access::scope("keys:write".parse()?))
//!         .build()?;
//!
//!     let viewer = Principal::builder("v").scopes("role:viewer".parse()?).build();
//!     let head = |method: Method, path: &str| {
//!         let request = http::Request::builder().method(method).uri(path);
//!         Head::new(request.extension(viewer.clone()).body(()).unwrap().into_parts().0)
//!     };
//!     assert!(matches!(guard.check(&head(Method::GET, "/v1/models")), Check::Pass(())));
//!     assert!(matches!(guard.check(&head(Method::DELETE, "/keys/a")), Check::Refuse(_)));
//!
//!     let routes = [(Method::GET, "/v1/models"), (Method::POST, "/v1/embeddings")];
//!     let error = guard.coverage(routes).unwrap_err();
//!     assert_eq!(error.without_rule(), ["POST /v1/embeddings"]);
//!     assert_eq!(error.without_route(), ["DELETE /keys/{id}"]);
//!     Ok(())
//! }
//! ```
//!
//! Any of several scopes, all of several scopes, and a gRPC method:
//!
//! ```
//! use http::Method;
//! use stockade_scope::{Access, ScopeGuard};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let admin = ["keys:write".parse()?, "audit:read".parse()?];
//!     let guard = ScopeGuard::builder()
//!         .realm("models")
//!         .route(
//!             Method::GET,
//!             "/v1/models/{id}",
//!             Access::any_of(["models:read".parse()?, "admin".parse()?]),
//!         )
//!         .route(Method::DELETE, "/admin/keys/{id}", Access::all_of(admin))
//!         .route(Method::POST, "/llm.v1.Chat/Complete", Access::scope("chat:write".parse()?))
//!         .build()?;
//!     let _ = guard;
//!
//!     // Two rules for one route are refused when the table is built.
//!     let twice = ScopeGuard::builder()
//!         .route(Method::GET, "/health", Access::public())
//!         .route(Method::GET, "/health", Access::scope("admin".parse()?))
//!         .build();
//!     assert!(twice.is_err());
//!     Ok(())
//! }
//! ```

mod access;
mod coverage;
mod guard;
mod path;
mod roles;
mod table;

pub use access::Access;
pub use coverage::CoverageError;
pub use guard::{ScopeGuard, ScopeGuardBuilder};
pub use roles::{RoleError, Roles};
pub use table::{RouteTableError, RouteTableErrorKind};
