//! `AbuseLayer` alone: around an axum router, and around a plain tower service.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::convert::Infallible;

use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use stockade_abuse::{AbuseGuard, AbuseLayer, AbusePolicy, Detector, Signal};
use stockade_core::{client::PeerAddr, context::ContextLayer, refusal::Responder};
use tower::{ServiceBuilder, ServiceExt};

const CLIENT: &str = "203.0.113.7";
const OTHER: &str = "203.0.113.8";

fn request<B>(client: &str, path: &str, body: B) -> Request<B> {
    let peer = PeerAddr::Ip(client.parse().unwrap());
    Request::get(path).extension(peer).body(body).unwrap()
}

#[tokio::test]
async fn wraps_an_axum_router() {
    let policy = AbusePolicy::new().weight(Signal::NotFound, 1);
    let detector = Detector::new(policy);
    let router = Router::new()
        .route("/", get(async || "hello"))
        .layer(AbuseLayer::new(detector.clone()))
        .layer(ContextLayer::new());
    let status = async |client: &str, path: &str| {
        let request = request(client, path, Body::empty());
        router.clone().oneshot(request).await.unwrap().status()
    };
    for _ in 0..5 {
        assert_eq!(status(CLIENT, "/missing").await, StatusCode::NOT_FOUND);
    }
    assert_eq!(status(CLIENT, "/").await, StatusCode::FORBIDDEN);
    assert_eq!(status(OTHER, "/").await, StatusCode::OK);
    assert_eq!(detector.stats().denied_count, 1);
}

#[tokio::test]
async fn wraps_a_tower_service_without_a_context_layer() {
    let detector = Detector::new(AbusePolicy::new());
    let responder = Responder::default().custom(|_| {
        let mut response = Response::new(Bytes::from_static(b"banned"));
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        response
    });
    let layer = AbuseLayer::from(AbuseGuard::new(detector.clone())).responder(responder);
    let service = ServiceBuilder::new()
        .layer(layer)
        .service_fn(async |_: Request<Full<Bytes>>| {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
    let status = async |client: &str| {
        let request = request(client, "/", Full::default());
        service.clone().oneshot(request).await.unwrap().status()
    };
    assert_eq!(status(CLIENT).await, StatusCode::OK);
    detector.ban(CLIENT.parse().unwrap(), None, "manual");
    assert_eq!(status(CLIENT).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(status(OTHER).await, StatusCode::OK);
}
