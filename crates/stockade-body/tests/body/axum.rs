//! The layer around an axum router.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, MatchedPath, Request},
    routing::post,
};
use http::{Method, StatusCode};
use stockade_body::{BodyLayer, BodyRules, Profile};
use stockade_core::context::{MatchedRoute, RequestContext};
use tower::{ServiceBuilder, ServiceExt};

/// Sets the route that axum matched.
fn matched_route(mut request: Request) -> Request {
    if let Some(path) = request.extensions().get::<MatchedPath>() {
        let route = MatchedRoute::new(path.as_str());
        RequestContext::get_or_insert(request.extensions_mut()).set_route(route);
    }
    request
}

fn router() -> Router {
    async fn length(body: Bytes) -> String {
        body.len().to_string()
    }
    let rules = BodyRules::new()
        .route(Method::POST, "/{tenant}/chat", Profile::openai_chat())
        .route(Method::POST, "/raw", Profile::bytes())
        .route(Method::POST, "/stream", Profile::streamed().max_bytes(10));
    Router::new()
        .route("/{tenant}/chat", post(length))
        .route("/raw", post(length))
        .route("/stream", post(length))
        .layer(
            ServiceBuilder::new()
                .map_request(matched_route)
                .layer(BodyLayer::new(rules)),
        )
}

async fn status(router: Router, path: &str, body: impl Into<Body>) -> StatusCode {
    let request = Request::post(path).header("content-type", "application/json");
    let response = router.oneshot(request.body(body.into()).unwrap()).await;
    response.unwrap().status()
}

#[tokio::test]
async fn uses_the_route_that_axum_matched() {
    let good = r#"{"model":"tiny","messages":[]}"#;
    assert_eq!(status(router(), "/a/chat", good).await, 200);
    assert_eq!(status(router(), "/a/chat", "{}").await, 400);
}

// axum's extractors have their own limit.
#[tokio::test]
async fn axums_own_limit_is_2_mb_until_it_is_disabled() {
    let large = || vec![0; 3 << 20];
    assert_eq!(status(router(), "/raw", large()).await, 413);
    let without = router().layer(DefaultBodyLimit::disable());
    assert_eq!(status(without, "/raw", large()).await, 200);
}

#[tokio::test]
async fn axum_answers_413_to_a_stream_that_is_too_long() {
    let stream = |frames: Vec<&'static str>| {
        Body::from_stream(tokio_stream::iter(
            frames.into_iter().map(Ok::<_, std::io::Error>),
        ))
    };
    let layered = || router().layer(DefaultBodyLimit::disable());
    assert_eq!(
        status(layered(), "/stream", stream(vec!["12345", "67890"])).await,
        200
    );
    assert_eq!(
        status(layered(), "/stream", stream(vec!["12345", "678901"])).await,
        413
    );
}
