//! Tests of the layers alone: around axum's router and a plain tower service.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{convert::Infallible, net::SocketAddr, num::NonZeroU32, time::Duration};

use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use stockade_core::{
    client::PeerAddr,
    context::RequestContext,
    llm::{ModelRequest, TokenUsage},
    refusal::{ErrorFormat, Responder},
};
use stockade_rate_limit::{
    Concurrency, ConcurrencyLayer, ConcurrencyLimit, KeyExtractor, Limit, Limits, MemoryLimitStore,
    MemoryPermits, Quota, RateLimit, RateLimitLayer, TokenBudget, TokenBudgetLayer,
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

fn limits(name: &str, count: u32) -> Limits {
    let limit = Limit::new(name, KeyExtractor::global()).quota(Quota::per_hour(count));
    Limits::new([limit]).unwrap()
}

fn content_type<B>(response: &Response<B>) -> &str {
    response.headers()["content-type"].to_str().unwrap()
}

fn one(name: &str) -> ConcurrencyLimit {
    ConcurrencyLimit::new(name, KeyExtractor::global(), NonZeroU32::MIN)
}

fn request<B>(body: B) -> Request<B> {
    let peer = PeerAddr::from(SocketAddr::from(([192, 0, 2, 1], 4_711)));
    Request::builder().extension(peer).body(body).unwrap()
}

/// Sends one request through the layer to a service that reports 10 tokens.
async fn send<L, R>(layer: &L) -> Response<R>
where
    L: Layer<Echo>,
    L::Service: Service<Request<()>, Response = Response<R>, Error = Infallible>,
{
    layer.layer(Echo).oneshot(request(())).await.unwrap()
}

#[derive(Clone)]
struct Echo;

impl Service<Request<()>> for Echo {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(
        &mut self,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        if let Some(context) = RequestContext::of(request.extensions()) {
            context.set_usage(TokenUsage {
                prompt_tokens: 4,
                completion_tokens: 6,
            });
        }
        std::future::ready(Ok(Response::new(Full::from("an answer"))))
    }
}

#[tokio::test]
async fn rate_limit_around_a_router() {
    let layer = RateLimitLayer::new(limits("all", 1)).x_ratelimit_headers();
    let app = Router::new().route("/", get(async || "hello")).layer(layer);
    let passed = app.clone().oneshot(request(Body::empty())).await.unwrap();
    assert_eq!(passed.status(), StatusCode::OK);
    assert_eq!(passed.headers()["x-ratelimit-remaining"], "0");
    let refused = app.oneshot(request(Body::empty())).await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn concurrency_around_a_router() {
    let layer = ConcurrencyLayer::new([one("all")]);
    let stats = layer.clone();
    let app = Router::new().route("/", get(async || "hello")).layer(layer);
    let held = app.clone().oneshot(request(Body::empty())).await.unwrap();
    assert_eq!(held.status(), StatusCode::OK);
    let refused = app.clone().oneshot(request(Body::empty())).await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(stats.stats().in_use, 1);
    drop(held);
    assert_eq!(stats.stats().in_use, 0);
    let passed = app.oneshot(request(Body::empty())).await.unwrap();
    assert_eq!(passed.status(), StatusCode::OK);
}

#[tokio::test]
async fn token_budget_around_a_router() {
    let layer = TokenBudgetLayer::new(limits("tokens", 100));
    let handler = async |request: axum::extract::Request| {
        let usage = TokenUsage {
            prompt_tokens: 10,
            completion_tokens: 80,
        };
        RequestContext::of(request.extensions())
            .unwrap()
            .set_usage(usage);
        "an answer"
    };
    let app = Router::new()
        .route("/", axum::routing::post(handler))
        .layer(layer);
    let chat = || {
        let estimate = ModelRequest::new(None, 10, Some(80));
        let context = RequestContext::builder().model_request(estimate).build();
        let request = Request::post("/").extension(context);
        request.body(Body::empty()).unwrap()
    };
    let passed = app.clone().oneshot(chat()).await.unwrap();
    assert_eq!(passed.status(), StatusCode::OK);
    drop(passed);
    let refused = app.oneshot(chat()).await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn layers_around_a_tower_service() {
    let service = ServiceBuilder::new()
        .layer(RateLimitLayer::new(limits("all", 2)))
        .layer(ConcurrencyLayer::new([one("one")]).queue(Duration::from_secs(1), 1))
        .layer(TokenBudgetLayer::new(limits("tokens", 5_000)).default_cost(2_000))
        .service(Echo);
    for _ in 0..2 {
        let passed = service.clone().oneshot(request(())).await.unwrap();
        assert_eq!(passed.status(), StatusCode::OK);
        let policies = passed.headers().get_all("ratelimit-policy").iter();
        let policies: Vec<_> = policies.map(|policy| policy.to_str().unwrap()).collect();
        let expected = [
            r#""one";q=1;qu="concurrent-requests""#,
            r#""all";q=2;w=3600"#,
        ];
        assert_eq!(policies, expected);
    }
    let refused = service.oneshot(request(())).await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn clones_share_their_state() {
    let layer = RateLimitLayer::new(limits("all", 1));
    assert_eq!(send(&layer.clone()).await.status(), StatusCode::OK);
    assert_eq!(send(&layer).await.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn layers_are_made_of_guards_and_use_a_responder() {
    let problem = || Responder::default().default_format(ErrorFormat::Problem);
    let rate = RateLimitLayer::from(RateLimit::new(limits("all", 1))).responder(problem());
    let concurrency = ConcurrencyLayer::from(Concurrency::new([one("one")])).responder(problem());
    let budget =
        TokenBudgetLayer::from(TokenBudget::new(limits("tokens", 10))).responder(problem());

    assert_eq!(send(&rate).await.status(), StatusCode::OK);
    let refused = send(&rate).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(content_type(&refused), "application/problem+json");

    let held = send(&concurrency).await;
    let refused = send(&concurrency).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    drop(held);

    let post = service_fn(async |request: Request<()>| Echo.call(request).await);
    let mut chat = request(());
    *chat.method_mut() = http::Method::POST;
    let refused = budget.layer(post).oneshot(chat).await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(content_type(&refused), "application/problem+json");
}

#[test]
fn layers_have_debug_and_stores() {
    let store = MemoryLimitStore::new(1_000);
    let rate = RateLimitLayer::with_store(limits("all", 1), store.clone()).openai_headers();
    assert!(format!("{rate:?}").starts_with("RateLimitLayer(RateLimit"));
    let budget = TokenBudgetLayer::with_store(limits("tokens", 1), store).max_tokens(5);
    assert!(format!("{budget:?}").starts_with("TokenBudgetLayer(TokenBudget"));
    let concurrency = ConcurrencyLayer::with_store([one("one")], MemoryPermits::new());
    assert!(format!("{concurrency:?}").starts_with("ConcurrencyLayer(Concurrency"));
}
