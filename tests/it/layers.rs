//! Each layer alone, around an axum router, a hyper server, a tonic service and a tower
//! service.

use std::{convert::Infallible, num::NonZeroU32};

use axum::{Router, routing::get};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::HOST};
use http_body_util::{BodyExt, Empty, Full};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use stockade::{
    abuse::{AbuseLayer, AbusePolicy, Detector},
    audit::{AuditLayer, AuditLog, Journal, Overflow, TracingSink},
    body::{BodyLayer, BodyRules, Profile},
    core::client::PeerAddr,
    jwt::{Algorithm, JwtLayer, KeySet, LiveKeys, Secret, TokenRules, VerifyingKey},
    key_auth::{GeneratedKey, KeyAuthLayer, KeyRecord, MemoryKeyStore},
    rate_limit::{
        ConcurrencyLayer, ConcurrencyLimit, KeyExtractor, Limit, Limits, Quota, RateLimitLayer,
        TokenBudgetLayer,
    },
    scope::{Access, ScopeLayer},
};
use tokio::net::TcpStream;
use tower::{ServiceBuilder, ServiceExt};

use crate::{
    grpc_server::{GrpcServer, SERVING},
    http_server::HttpServer,
};

const KEY: &str = "x-api-key";

fn with_peer<B>(mut request: Request<B>) -> Request<B> {
    request.extensions_mut().insert(PeerAddr::UnixSocket);
    request
}

/// Sends a request through this layer around each of the four, and expects it to pass.
macro_rules! passes_everywhere {
    ($layer:expr, $key:expr) => {{
        let layer = $layer;
        let key: &str = $key;
        let request = || Request::get("/").header(HOST, "localhost").header(KEY, key);

        let service = ServiceBuilder::new()
            .map_request(with_peer)
            .layer(layer.clone());
        let service = service.service_fn(|_: Request<_>| async {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("done"))))
        });
        let sent = request().body(Empty::<Bytes>::new()).unwrap();
        let response = service.oneshot(sent).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "tower");

        let stack = ServiceBuilder::new()
            .map_request(with_peer)
            .layer(layer.clone());
        let app: Router = Router::new().route("/", get(async || "done")).layer(stack);
        let sent = request().body(axum::body::Body::empty()).unwrap();
        let response = app.oneshot(sent).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "axum");

        let server = HttpServer::behind(layer.clone()).await;
        let stream = TcpStream::connect(server.address).await.unwrap();
        let (mut client, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let sent = request().body(Empty::<Bytes>::new()).unwrap();
        let response = client.send_request(sent).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "hyper");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "welcome", "hyper");

        let stack = ServiceBuilder::new()
            .map_request(with_peer)
            .layer(layer)
            .into_inner();
        let mut server = GrpcServer::behind(stack).await;
        let status = server.check(Some((KEY, key))).await;
        assert_eq!(status.unwrap(), SERVING, "tonic");
    }};
}

#[tokio::test]
async fn key_auth() {
    let store = MemoryKeyStore::new();
    let key = GeneratedKey::new("sk", "team".parse().unwrap()).unwrap();
    store
        .insert(KeyRecord::new(key.id().clone(), key.digest()))
        .unwrap();
    let layer = KeyAuthLayer::new(&store);
    let refused =
        ServiceBuilder::new()
            .layer(layer.clone())
            .service_fn(|_: Request<Empty<Bytes>>| async {
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            });
    let refused = refused.oneshot(Request::default()).await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    passes_everywhere!(layer, key.expose());
}

#[tokio::test]
async fn jwt() {
    let secret = Secret::new(b"thirty-two random bytes or more!").unwrap();
    let key = VerifyingKey::hmac(Algorithm::Hs256, &secret).unwrap();
    let keys = LiveKeys::new(KeySet::new([key]));
    let rules = TokenRules::new("https://id.example", "api");
    passes_everywhere!(JwtLayer::new(keys, rules).dangerous_allow_anonymous(), "");
}

#[tokio::test]
async fn scope() {
    let layer = ScopeLayer::builder()
        .route(Method::GET, "/", Access::public())
        .route(
            Method::POST,
            "/grpc.health.v1.Health/Check",
            Access::public(),
        )
        .build()
        .unwrap();
    passes_everywhere!(layer, "");
}

fn limit() -> Limits {
    let limit = Limit::new("all", KeyExtractor::global()).quota(Quota::per_hour(100_000));
    Limits::new([limit]).unwrap()
}

#[tokio::test]
async fn rate_limit() {
    passes_everywhere!(RateLimitLayer::new(limit()), "");
}

#[tokio::test]
async fn token_budget() {
    passes_everywhere!(TokenBudgetLayer::new(limit()), "");
}

#[tokio::test]
async fn concurrency() {
    let places = NonZeroU32::new(4).unwrap();
    let limit = ConcurrencyLimit::new("all", KeyExtractor::global(), places);
    passes_everywhere!(ConcurrencyLayer::new([limit]), "");
}

#[tokio::test]
async fn abuse() {
    passes_everywhere!(AbuseLayer::new(Detector::new(AbusePolicy::new())), "");
}

#[tokio::test]
async fn audit() {
    let journal = Journal::builder(TracingSink, Overflow::DropAndCount).start();
    passes_everywhere!(AuditLayer::new(AuditLog::new(journal.unwrap())), "");
}

#[tokio::test]
async fn body() {
    let rules = BodyRules::new().route(
        Method::POST,
        "/grpc.health.v1.Health/Check",
        Profile::streamed(),
    );
    passes_everywhere!(BodyLayer::new(rules), "");
}
