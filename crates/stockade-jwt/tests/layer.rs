//! The layer around an axum router and a tower service.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "not every test needs all of the support")]

mod support;

use std::{convert::Infallible, sync::Arc};

use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use stockade_core::{
    guard::GuardLayer,
    refusal::{ErrorFormat, Responder},
};
use stockade_jwt::{JwtAuth, JwtLayer, RevocationList};
use support::{bearer, clock, good, hs256, rules, token};
use tower::{Layer, ServiceExt, service_fn};

fn layer() -> JwtLayer {
    JwtLayer::new(hs256(), rules()).clock(clock())
}

#[tokio::test]
async fn authenticates_around_an_axum_router() {
    let app = Router::new().route("/", get(async || "ok")).layer(layer());
    let with = bearer(&token(&good(""))).map(|()| Body::empty());
    let response = app.clone().oneshot(with).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let without = Request::new(Body::empty());
    let response = app.oneshot(without).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

/// The status and content type of a response.
async fn ask(layer: &JwtLayer, request: Request<()>) -> (u16, String) {
    let inner = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let response = layer.layer(inner).oneshot(request).await.unwrap();
    let content = response.headers().get("content-type");
    let content = content.map_or("", |value| value.to_str().unwrap());
    (response.status().as_u16(), content.to_owned())
}

#[tokio::test]
async fn options_apply_around_a_tower_service() {
    let token = token(&good(""));
    let problem = (401, "application/problem+json".to_owned());
    let layer = layer()
        .realm("models")
        .cache_capacity(16)
        .responder(Responder::default().default_format(ErrorFormat::Problem));
    assert_eq!(ask(&layer, bearer(&token)).await.0, 200);
    assert_eq!(ask(&layer, Request::new(())).await, problem);

    let short = layer.clone().max_token_length(token.len() - 1);
    assert_eq!(ask(&short, bearer(&token)).await, problem);
    let revocable = layer
        .clone()
        .revocations(Arc::new(RevocationList::default()));
    assert_eq!(ask(&revocable, bearer(&token)).await, problem, "no `jti`");
    let open = layer.clone().dangerous_allow_anonymous();
    assert_eq!(ask(&open, Request::new(())).await.0, 200);
    assert_eq!(ask(&layer, bearer(&token)).await.0, 200);
}

#[test]
fn converts_from_and_into_guards() {
    let layer = JwtLayer::from(JwtAuth::new(hs256(), rules()));
    assert!(format!("{layer:?}").contains("jwt"));
    let layer: GuardLayer<JwtAuth> = layer.into();
    assert!(format!("{:?}", layer.guard()).contains("JwtAuth"));
}
