//! The layer around an axum router and a tower service.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::convert::Infallible;

use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use stockade_core::{
    context::RequestContext,
    guard::GuardLayer,
    identity::Principal,
    refusal::{ErrorFormat, Responder},
};
use stockade_scope::{Access, Roles, ScopeGuard, ScopeLayer};
use tower::{Layer, ServiceExt, service_fn};

fn layer() -> ScopeLayer {
    ScopeLayer::builder()
        .realm("models")
        .roles(Roles::standard())
        .route(Method::GET, "/health", Access::public())
        .route(
            Method::GET,
            "/v1/models",
            Access::scope("models:read".parse().unwrap()),
        )
        .build()
        .unwrap()
}

fn request<B>(path: &str, scopes: &str, body: B) -> Request<B> {
    let principal = Principal::builder("client").scopes(scopes.parse().unwrap());
    let context = RequestContext::builder()
        .principal(principal.build())
        .build();
    Request::get(path).extension(context).body(body).unwrap()
}

#[tokio::test]
async fn authorizes_around_an_axum_router() {
    let app = Router::new()
        .route("/health", get(async || "ok"))
        .route("/v1/models", get(async || "[]"))
        .layer(layer());
    for (path, scopes, status) in [
        ("/health", "", StatusCode::OK),
        ("/v1/models", "role:viewer", StatusCode::OK),
        ("/v1/models", "chat:write", StatusCode::FORBIDDEN),
        ("/forgotten", "*", StatusCode::NOT_FOUND),
    ] {
        let request = request(path, scopes, Body::empty());
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{path} {scopes}");
    }
}

#[tokio::test]
async fn responder_applies_around_a_tower_service() {
    let layer = layer().responder(Responder::default().default_format(ErrorFormat::Problem));
    let service = layer.layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    let refused = service
        .oneshot(request("/v1/models", "", ()))
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        refused.headers()["content-type"],
        "application/problem+json"
    );
    let challenge = refused.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("Bearer realm=\"models\""));
}

#[test]
fn compares_its_rules_with_routes() {
    let layer = layer();
    assert!(layer.is_public(&Method::GET, "/health"));
    let routes = [(Method::GET, "/health"), (Method::POST, "/v1/models")];
    let error = layer.coverage(routes).unwrap_err();
    assert_eq!(error.without_rule(), ["POST /v1/models"]);
    assert_eq!(error.without_route(), ["GET /v1/models"]);
    let guard: GuardLayer<ScopeGuard> = layer.into();
    assert!(format!("{guard:?}").contains("scope"));
}
