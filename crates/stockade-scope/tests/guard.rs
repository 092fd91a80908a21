//! The guard around a service and an axum router.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::convert::Infallible;

use axum::{
    Router,
    body::Body,
    routing::{get, post},
};
use http::{Method, Request, Response, StatusCode};
use proptest::prelude::*;
use stockade_core::{
    context::{MatchedRoute, RequestContext},
    guard::{Guard, GuardLayer},
    identity::Principal,
};
use stockade_scope::{Access, RouteTableErrorKind, ScopeGuard};
use stockade_testkit::contract;
use tower::{Layer, ServiceExt, service_fn};

fn guard() -> ScopeGuard {
    let scope = |text: &str| Access::scope(text.parse().unwrap());
    ScopeGuard::builder()
        .route(Method::GET, "/health", Access::public())
        .route(Method::GET, "/v1/models/{id}", scope("models:read"))
        .route(Method::POST, "/v1/chat", scope("chat:write"))
        .route(Method::GET, "/admin/keys", scope("admin"))
        .build()
        .unwrap()
}

fn with_scopes(scopes: &str) -> Principal {
    Principal::builder("client")
        .scopes(scopes.parse().unwrap())
        .build()
}

fn request(method: &str, path: &str, who: Who) -> Request<()> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .body(())
        .unwrap();
    let context = RequestContext::new();
    match who {
        Who::Unchecked => {}
        Who::Anonymous => assert!(context.set_anonymous()),
        Who::Key(principal) => assert!(context.authenticate(principal)),
    }
    request.extensions_mut().insert(context);
    request
}

fn set_route(request: &mut Request<()>, route: &'static str) {
    let context = RequestContext::get_or_insert(request.extensions_mut());
    assert!(context.set_route(MatchedRoute::new(route)));
}

/// What an authenticator has found out.
#[derive(Clone, Debug)]
enum Who {
    Unchecked,
    Anonymous,
    Key(Principal),
}

async fn answer(layer: &GuardLayer<ScopeGuard>, request: Request<()>) -> Response<()> {
    let inner = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    let response = layer.layer(inner).oneshot(request).await.unwrap();
    response.map(|_| ())
}

#[tokio::test]
async fn upholds_the_contract() {
    let layer = guard().into_layer();
    contract::uphold(&layer, || {
        request("POST", "/v1/chat", Who::Key(with_scopes("chat:write")))
    })
    .await;
}

#[tokio::test]
async fn authorizes_by_route_and_principal() {
    let layer = guard().into_layer();
    let may = |scopes| Who::Key(with_scopes(scopes));
    for (method, path, who, status) in [
        ("GET", "/health", Who::Unchecked, 200),
        ("GET", "/health", may(""), 200),
        ("POST", "/v1/chat", may("chat:write"), 200),
        ("POST", "/v1/chat", may("*"), 200),
        ("POST", "/v1/chat", may("models:read"), 403),
        ("POST", "/v1/chat", may(""), 403),
        ("POST", "/v1/chat", Who::Anonymous, 401),
        ("GET", "/v1/models/a", may("models:read"), 200),
        // Default deny. FH06
        ("GET", "/metrics", may("*"), 404),
        ("GET", "/metrics", Who::Anonymous, 401),
        ("GET", "/v1/models", may("*"), 404),
        ("POST", "/v1/chat/", may("*"), 404),
        ("POST", "/V1/chat", may("*"), 404),
        // Wrong layer order never allows access.
        ("POST", "/v1/chat", Who::Unchecked, 500),
        ("GET", "/metrics", Who::Unchecked, 500),
    ] {
        let response = answer(&layer, request(method, path, who.clone())).await;
        assert_eq!(response.status(), status, "{method} {path} {who:?}");
    }
}

// S04
#[tokio::test]
async fn head_falls_back_to_get_and_other_methods_are_refused() {
    let layer = guard().into_layer();
    let path = "/v1/models/a";
    for (method, scopes, status) in [
        ("HEAD", "models:read", 200),
        ("HEAD", "chat:write", 403),
        ("TRACE", "*", 405),
        ("FOO", "*", 405),
        ("DELETE", "*", 405),
        ("OPTIONS", "*", 405),
    ] {
        let response = answer(&layer, request(method, path, Who::Key(with_scopes(scopes)))).await;
        assert_eq!(response.status(), status, "{method} {scopes}");
        if status == 405 {
            assert_eq!(response.headers()["allow"], "GET");
        }
    }
    let mut overridden = request("GET", path, Who::Key(with_scopes("models:read")));
    overridden
        .headers_mut()
        .insert("x-http-method-override", "DELETE".parse().unwrap());
    assert_eq!(answer(&layer, overridden).await.status(), 200);
}

// S01
#[tokio::test]
async fn ambiguous_paths_are_refused() {
    let layer = guard().into_layer();
    for path in [
        "//v1/chat",
        "/x/../v1/chat",
        "/%2e%2e/v1/chat",
        "/v1%2fchat",
        "/v1/chat;x",
        "/v1/chat%00",
    ] {
        let response = answer(&layer, request("POST", path, Who::Key(with_scopes("*")))).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
    }
    let absolute = request(
        "POST",
        "http://other.example/v1/chat",
        Who::Key(with_scopes("")),
    );
    assert_eq!(answer(&layer, absolute).await.status(), 403);
}

#[tokio::test]
async fn matched_route_takes_precedence_over_the_path() {
    let layer = guard().into_layer();
    let mut nested = request("POST", "/chat", Who::Key(with_scopes("chat:write")));
    set_route(&mut nested, "/v1/chat");
    assert_eq!(answer(&layer, nested).await.status(), 200);

    let mut other = request("POST", "/v1/chat", Who::Key(with_scopes("chat:write")));
    set_route(&mut other, "/elsewhere");
    assert_eq!(answer(&layer, other).await.status(), 404);
}

#[test]
fn rejects_invalid_tables() {
    let build = |routes: &[&str]| {
        let mut builder = ScopeGuard::builder();
        for route in routes {
            builder = builder.route(Method::GET, *route, Access::public());
        }
        builder
            .build()
            .map(|_| ())
            .map_err(|error| error.kind().clone())
    };
    assert_eq!(build(&["/a", "/a"]), Err(RouteTableErrorKind::Duplicate));
    assert_eq!(build(&["/{"]), Err(RouteTableErrorKind::InvalidPattern));
    assert_eq!(
        build(&["/a/{x}", "/a/{y}"]),
        Err(RouteTableErrorKind::Conflict {
            with: "/a/{x}".into()
        })
    );
    assert_eq!(build(&["/a/{x}", "/a/b"]), Ok(()));
}

/// An axum router with the routes of [`guard`]; each responds with its pattern.
fn router() -> Router {
    Router::new()
        .route("/health", get(|| async { "/health" }))
        .route("/v1/models/{id}", get(|| async { "/v1/models/{id}" }))
        .route("/v1/chat", post(|| async { "/v1/chat" }))
        .route("/admin/keys", get(|| async { "/admin/keys" }))
}

proptest! {
    // S01
    #[test]
    fn router_runs_only_authorized_routes(
        method in "GET|POST|HEAD",
        path in "(/|//|/\\.|/\\.\\.|/%2e|%2f|%5c|;|/health|/v1|/models|/chat|/admin|/keys|/a){1,6}",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let service = guard().into_layer().layer(router());
        let mut request = Request::builder()
            .method(&*method)
            .uri(&*path)
            .body(Body::empty());
        prop_assume!(request.is_ok());
        let request = request.as_mut().unwrap();
        let context = RequestContext::builder().principal(with_scopes("chat:write"));
        request.extensions_mut().insert(context.build());
        let request = std::mem::take(request);
        let status = runtime.block_on(service.oneshot(request)).unwrap().status();
        let open = path == "/health" && method != "POST" || path == "/v1/chat" && method == "POST";
        prop_assert_eq!(status.is_success(), open, "{} {} {}", method, path, status);
    }
}
