//! The layer around an axum router and a tower service.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::convert::Infallible;

use axum::{Extension, Router, body::Body, routing::get};
use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use stockade_core::{
    clock::Timestamp,
    context::RequestContext,
    guard::GuardLayer,
    identity::{Identity, Principal},
    refusal::{ErrorFormat, Responder},
};
use stockade_key_auth::{
    CredentialSource, GeneratedKey, KeyAuth, KeyAuthLayer, KeyRecord, MemoryKeyStore, Pepper,
    SlowHashLimits,
};
use stockade_testkit::FakeClock;
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneService};

fn store() -> (MemoryKeyStore, GeneratedKey) {
    let key = GeneratedKey::new("sk", "team-core".parse().unwrap()).unwrap();
    let record = KeyRecord::new(key.id().clone(), key.digest()).expires(Timestamp::from_secs(100));
    let store = MemoryKeyStore::new();
    store.insert(record).unwrap();
    (store, key)
}

fn clock() -> FakeClock {
    FakeClock::at(Timestamp::from_secs(99))
}

/// Responds with the id of the principal.
async fn id(Extension(context): Extension<RequestContext>) -> String {
    match context.identity() {
        Identity::Authenticated(principal) => principal.id().to_owned(),
        Identity::Anonymous => "anonymous".to_owned(),
        Identity::Unchecked => "unchecked".to_owned(),
    }
}

#[tokio::test]
async fn authenticates_around_an_axum_router() {
    let (store, key) = store();
    let layer = KeyAuthLayer::new(&store).clock(clock());
    let app = Router::new().route("/", get(id)).layer(layer);
    let with = Request::get("/").header("x-api-key", key.expose());
    let response = app
        .clone()
        .oneshot(with.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "team-core");
    let without = Request::get("/").body(Body::empty()).unwrap();
    let response = app.oneshot(without).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

type Inner = BoxCloneService<Request<()>, Response<Full<Bytes>>, Infallible>;

fn inner() -> Inner {
    Inner::new(service_fn(|request: Request<()>| async move {
        let context = RequestContext::of(request.extensions());
        let principal = context.and_then(RequestContext::principal);
        let id = principal.map_or("anonymous", Principal::id).to_owned();
        Ok(Response::new(Full::new(Bytes::from(id))))
    }))
}

/// The status and content type of a response.
async fn ask(layer: &KeyAuthLayer, header: Option<(&str, &str)>) -> (u16, String) {
    let mut request = Request::builder();
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let service = layer.layer(inner());
    let response = service.oneshot(request.body(()).unwrap()).await.unwrap();
    let content = response.headers().get("content-type");
    let content = content.map_or("", |value| value.to_str().unwrap());
    (response.status().as_u16(), content.to_owned())
}

#[tokio::test]
async fn options_apply_around_a_tower_service() {
    let (store, key) = store();
    let clock = clock();
    let layer = KeyAuthLayer::new(&store)
        .clock(clock.clone())
        .sources([CredentialSource::Header(HeaderName::from_static("x-key"))])
        .slow_hashes(SlowHashLimits::default())
        .pepper(Pepper::new([7; 32]).unwrap())
        .realm("models")
        .responder(Responder::default().default_format(ErrorFormat::Problem));
    let header = Some(("x-key", key.expose()));
    assert_eq!(ask(&layer, header).await.0, 200);
    let bearer = format!("Bearer {}", key.expose());
    let problem = (401, "application/problem+json".to_owned());
    assert_eq!(
        ask(&layer, Some((AUTHORIZATION.as_str(), &bearer))).await,
        problem
    );

    let open = layer.clone().dangerous_allow_anonymous();
    assert_eq!(ask(&open, None).await.0, 200);
    assert_eq!(ask(&layer, None).await, problem, "clones are independent");

    clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(ask(&layer, header).await, problem);
}

#[test]
fn converts_from_and_into_guards() {
    let (store, _) = store();
    let layer = KeyAuthLayer::from(KeyAuth::new(&store));
    assert!(format!("{layer:?}").contains("key_auth"));
    let layer: GuardLayer<KeyAuth> = layer.into();
    assert!(format!("{:?}", layer.guard()).contains("KeyAuth"));
}
