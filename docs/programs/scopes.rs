//! Keys that may call some routes and not others.

use axum::{
    Router,
    extract::{MatchedPath, Request},
    http::Method,
    routing::get,
};
use stockade_core::context::{MatchedRoute, RequestContext};
use stockade_key_auth::{FileKeyStore, KeyAuthLayer};
use stockade_scope::{Access, ScopeLayer};
use tokio::net::TcpListener;
use tower::ServiceBuilder;

/// Names the route that axum matched, so that nested routers and rules agree.
fn matched_route(mut request: Request) -> Request {
    if let Some(path) = request.extensions().get::<MatchedPath>() {
        let route = MatchedRoute::new(path.as_str());
        RequestContext::get_or_insert(request.extensions_mut()).set_route(route);
    }
    request
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keys = FileKeyStore::open("keys.yaml")?;
    let scopes = ScopeLayer::builder()
        .route(Method::GET, "/health", Access::public())
        .route(
            Method::GET,
            "/notes/{id}",
            Access::scope("notes:read".parse()?),
        )
        .route(
            Method::PUT,
            "/notes/{id}",
            Access::scope("notes:write".parse()?),
        )
        .build()?;
    let app = Router::new()
        .route("/health", get(async || "ok\n"))
        .route(
            "/notes/{id}",
            get(async || "milk\n").put(async || "written\n"),
        )
        .route("/forgotten", get(async || "a secret\n"))
        .layer(
            ServiceBuilder::new()
                .map_request(matched_route)
                // The rules know the public routes, so requests without a key reach them.
                .layer(KeyAuthLayer::new(&keys).dangerous_allow_anonymous())
                .layer(scopes),
        );

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}
