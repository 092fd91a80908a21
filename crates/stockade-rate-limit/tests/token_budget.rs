//! Tests of tokens that are reserved, used and refunded.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    convert::Infallible,
    future::{Future, pending},
    num::NonZeroU32,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use proptest::{collection::vec, prelude::*};
use stockade_core::{
    client::ClientIp,
    clock::Timestamp,
    context::RequestContext,
    guard::{Guard, GuardLayer, TakeReady},
    identity::{Principal, QuotaOverrides},
    llm::{ModelRequest, TokenUsage},
};
use stockade_rate_limit::{
    Bucket, Decision, FailurePolicy, Fallback, Fraction, KeyExtractor, Limit, LimitStore, Limits,
    MemoryLimitStore, Quota, SharedLimits, StoreError, StoreErrorKind, StoreReply, TokenBudget,
};
use stockade_testkit::{FakeClock, contract};
use tokio::sync::oneshot;
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneService};

const QUOTA: u32 = 1_000;

fn store() -> MemoryLimitStore {
    MemoryLimitStore::with_clock(1_000, FakeClock::at(Timestamp::from_secs(1_000_000)))
}

fn budget() -> TokenBudget {
    let limit = Limit::new("tokens", KeyExtractor::global()).quota(Quota::per_minute(QUOTA));
    TokenBudget::with_store(Limits::new([limit]).unwrap(), store())
}

type Layered = GuardLayer<Arc<TokenBudget>>;

fn layer() -> Layered {
    Arc::new(budget()).into_layer()
}

/// A request with a context and this model request.
fn request(prompt_tokens: u64, max_tokens: Option<u64>) -> Request<()> {
    request_for(None, prompt_tokens, max_tokens)
}

fn request_for(model: Option<&str>, prompt_tokens: u64, max_tokens: Option<u64>) -> Request<()> {
    let mut request = Request::new(());
    let asked = ModelRequest::new(model.map(Into::into), prompt_tokens, max_tokens);
    let context = RequestContext::builder().client(ClientIp::UnixSocket);
    let context = context.model_request(asked).anonymous().build();
    request.extensions_mut().insert(context);
    request
}

fn request_of(principal: Principal, model: Option<&str>, tokens: u64) -> Request<()> {
    let mut request = Request::new(());
    let asked = ModelRequest::new(model.map(Into::into), tokens, Some(0));
    let context = RequestContext::builder().client(ClientIp::UnixSocket);
    let context = context.model_request(asked).principal(principal).build();
    request.extensions_mut().insert(context);
    request
}

fn usage(prompt_tokens: u64, completion_tokens: u64) -> TokenUsage {
    TokenUsage {
        prompt_tokens,
        completion_tokens,
    }
}

type Inner = BoxCloneService<Request<()>, Response<Full<Bytes>>, Infallible>;

/// Responds with this status after reporting this usage.
async fn answer<G>(
    layer: &GuardLayer<G>,
    request: Request<()>,
    status: u16,
    used: Option<TokenUsage>,
) -> Response<String>
where
    G: Guard<Wait: TakeReady<Inner>>,
{
    let service = layer.layer(Inner::new(service_fn(
        move |request: Request<()>| async move {
            if let Some(used) = used {
                RequestContext::of(request.extensions())
                    .unwrap()
                    .set_usage(used);
            }
            let response = Response::builder().status(status);
            Ok(response.body(Full::<Bytes>::default()).unwrap())
        },
    )));
    let (head, body) = service.oneshot(request).await.unwrap().into_parts();
    let text = body.collect().await.unwrap().to_bytes().to_vec();
    Response::from_parts(head, String::from_utf8(text).unwrap())
}

/// The remaining tokens, measured by the largest request that is allowed and costs nothing.
async fn left<G>(layer: &GuardLayer<G>) -> u32
where
    G: Guard<Wait: TakeReady<Inner>>,
{
    let (mut passes, mut refused) = (0, QUOTA + 1);
    while refused - passes > 1 {
        let middle = (passes + refused) / 2;
        let probe = request(middle.into(), Some(0));
        match answer(layer, probe, 500, None).await.status() {
            StatusCode::INTERNAL_SERVER_ERROR => passes = middle,
            _ => refused = middle,
        }
    }
    passes
}

#[tokio::test]
async fn upholds_the_contract() {
    let layer = layer();
    contract::uphold(&layer, || request(10, Some(10))).await;
    let remote = Arc::new(TokenBudget::with_store(limits(), Remote::default()));
    contract::uphold(&remote.into_layer(), || request(10, Some(10))).await;
}

fn limits() -> Limits {
    Limits::new([Limit::new("tokens", KeyExtractor::global()).quota(Quota::per_minute(QUOTA))])
        .unwrap()
}

/// A store whose decisions are always pending.
struct Remote {
    store: MemoryLimitStore,
    down: bool,
}

impl Default for Remote {
    fn default() -> Self {
        Self {
            store: store(),
            down: false,
        }
    }
}

impl LimitStore for Remote {
    type Wait = Pin<Box<dyn Future<Output = Result<Decision, StoreError>> + Send>>;

    fn take(&self, buckets: &[Bucket<'_>]) -> StoreReply<Self::Wait> {
        let StoreReply::Ready(decision) = self.store.take(buckets);
        let down = self.down;
        StoreReply::Wait(Box::pin(async move {
            tokio::task::yield_now().await;
            if down {
                return Err(StoreError::new(StoreErrorKind::Unavailable));
            }
            decision
        }))
    }

    fn settle(&self, bucket: &Bucket<'_>, delta: i64) {
        self.store.settle(bucket, delta);
    }
}

#[tokio::test]
async fn reserves_prompt_and_max_tokens() {
    let layer = layer();
    let running = layer.layer(service_fn(|_: Request<()>| {
        pending::<Result<Response<Full<Bytes>>, Infallible>>()
    }));
    let mut running = pin!(running.oneshot(request(200, Some(500))));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(running.as_mut().poll(&mut cx).is_pending());
    assert_eq!(left(&layer).await, QUOTA - 700);

    for _ in 0..3 {
        let refused = answer(&layer, request(200, Some(101)), 200, None).await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(refused.body().contains("TOKEN_LIMIT"), "{}", refused.body());
        // One token per 60 ms.
        assert_eq!(refused.headers()["retry-after"], "1");
    }
    // Refused requests debited nothing.
    assert_eq!(left(&layer).await, QUOTA - 700);
}

#[tokio::test]
async fn charges_the_reported_usage() {
    for (used, charged) in [((100, 50), 150), ((300, 600), 900), ((0, 0), 0)] {
        let layer = layer();
        let used = Some(usage(used.0, used.1));
        let response = answer(&layer, request(200, Some(500)), 200, used).await;
        assert_eq!(response.status(), 200);
        assert_eq!(left(&layer).await, QUOTA - charged);
    }
}

#[tokio::test]
async fn usage_beyond_the_quota_is_a_debt() {
    let clock = FakeClock::at(Timestamp::from_secs(1_000_000));
    let store = MemoryLimitStore::with_clock(1_000, clock.clone());
    let layer = TokenBudget::with_store(limits(), store).into_layer();
    let used = Some(usage(1_000, 1_000));
    answer(&layer, request(10, Some(10)), 200, used).await;
    let refused = answer(&layer, request(1, Some(0)), 200, None).await;
    assert_eq!(refused.status(), 429);
    // An excess of 1,000 takes a minute, and the next token 60 ms more.
    assert_eq!(refused.headers()["retry-after"], "61");
    clock.advance(std::time::Duration::from_secs(61));
    assert_eq!(
        answer(&layer, request(1, Some(0)), 200, None)
            .await
            .status(),
        200
    );
}

#[tokio::test]
async fn without_reported_usage_errors_are_free_and_the_rest_costs_the_reservation() {
    for (status, charged) in [
        (200, 700),
        (204, 700),
        (302, 700),
        (400, 0),
        (422, 0),
        (500, 0),
        (503, 0),
        // FA13: an inner timeout.
        (408, 700),
        (504, 700),
    ] {
        let layer = layer();
        let response = answer(&layer, request(200, Some(500)), status, None).await;
        assert_eq!(response.status(), status);
        assert_eq!(left(&layer).await, QUOTA - charged, "{status}");
    }
    // Reported usage counts, however the request ends.
    let layer = layer();
    answer(&layer, request(200, Some(500)), 500, Some(usage(7, 0))).await;
    assert_eq!(left(&layer).await, QUOTA - 7);
}

// FC01
#[tokio::test]
async fn a_charged_estimate_is_recorded() {
    for (status, shown) in [(200, Some(usage(200, 500))), (500, None)] {
        let layer = layer();
        let asked = request(200, Some(500));
        let context = RequestContext::of(asked.extensions()).unwrap().clone();
        answer(&layer, asked, status, None).await;
        assert_eq!(context.final_usage(), shown, "{status}");
        assert_eq!(context.is_usage_estimated(), shown.is_some());
        let charged = shown.map_or(0, |it| it.prompt_tokens + it.completion_tokens);
        assert_eq!(u64::from(QUOTA - left(&layer).await), charged);
    }
    // Uncounted requests have no estimate.
    let list = Request::get("/v1/models").body(()).unwrap();
    let context = RequestContext::builder()
        .client(ClientIp::UnixSocket)
        .build();
    let (mut head, body) = list.into_parts();
    head.extensions.insert(context.clone());
    answer(&layer(), Request::from_parts(head, body), 200, None).await;
    assert_eq!(context.final_usage(), None);
}

#[tokio::test]
async fn grpc_errors_cost_nothing() {
    for (status, charged) in [("0", 700), ("13", 0)] {
        let layer = layer();
        let service = layer.layer(service_fn(|_| async move {
            let response = Response::builder().header("grpc-status", status);
            Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
        }));
        drop(service.oneshot(request(200, Some(500))).await.unwrap());
        assert_eq!(left(&layer).await, QUOTA - charged, "{status}");
    }
}

#[tokio::test]
async fn failing_services_cost_nothing() {
    let layer = layer();
    let service = layer.layer(service_fn(|_| async {
        Err::<Response<Full<Bytes>>, _>("as the test requires")
    }));
    service.oneshot(request(200, Some(500))).await.unwrap_err();
    assert_eq!(left(&layer).await, QUOTA);
}

// R11
#[tokio::test]
async fn settles_when_the_handler_panics() {
    for (used, charged) in [(None, 700), (Some(usage(200, 3)), 203)] {
        let layer = layer();
        let service = layer.layer(service_fn(move |request: Request<()>| async move {
            if let Some(used) = used {
                RequestContext::of(request.extensions())
                    .unwrap()
                    .set_usage(used);
            }
            if true {
                panic!("as the test requires");
            }
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }));
        let task = tokio::spawn(service.oneshot(request(200, Some(500))));
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(left(&layer).await, QUOTA - charged);
    }
}

// R10
#[tokio::test]
async fn dropped_streams_cost_their_usage() {
    let layer = layer();
    let asked = request(200, Some(500));
    let context = RequestContext::of(asked.extensions()).unwrap().clone();
    let service = layer.layer(service_fn(|_| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"data"))))
    }));
    let response = service.oneshot(asked).await.unwrap();
    for tokens in 1..=9 {
        context.set_usage(usage(190, tokens));
    }
    assert_eq!(left(&layer).await, QUOTA - 700);
    drop(response);
    assert_eq!(left(&layer).await, QUOTA - 199);
    // Late reports are ignored.
    context.set_usage(usage(190, 500));
    assert_eq!(left(&layer).await, QUOTA - 199);
}

#[tokio::test]
async fn refuses_requests_larger_than_the_quota_with_400() {
    let layer = layer();
    let refused = answer(&layer, request(501, Some(500)), 200, None).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert!(!refused.headers().contains_key("retry-after"));
    let body = refused.body();
    assert!(body.contains("TOKENS_EXCEED_QUOTA"), "{body}");
    assert!(body.contains("1001") && body.contains("1000"), "{body}");
    let fits = answer(&layer, request(500, Some(500)), 200, None).await;
    assert_eq!(fits.status(), 200);
}

#[tokio::test]
async fn reserves_defaults_without_a_model_request() {
    let without_bound = || request(100, None);
    let without_demand = || Request::post("/").body(()).unwrap();
    for (request, charged) in [(without_bound(), 400), (without_demand(), 50)] {
        let layer = budget().max_tokens(300).default_cost(50).into_layer();
        assert_eq!(answer(&layer, request, 200, None).await.status(), 200);
        assert_eq!(left(&layer).await, QUOTA - charged);
    }
}

#[tokio::test]
async fn reserves_the_default_of_the_request() {
    let by_prompt = |request: &ModelRequest| (request.prompt_tokens == 100).then_some(50);
    for (request, charged) in [
        (request(100, None), 150),
        (request(100, Some(20)), 120),
        (request(200, None), 500),
    ] {
        let layer = budget()
            .max_tokens(300)
            .max_tokens_by(by_prompt)
            .into_layer();
        assert_eq!(answer(&layer, request, 200, None).await.status(), 200);
        assert_eq!(left(&layer).await, QUOTA - charged);
    }
}

#[tokio::test]
async fn safe_methods_cost_no_tokens() {
    let layer = budget().default_cost(QUOTA).into_layer();
    for _ in 0..3 {
        let list = Request::get("/v1/models").body(()).unwrap();
        assert_eq!(answer(&layer, list, 200, None).await.status(), 200);
        assert_eq!(left(&layer).await, QUOTA);
    }
    // A request that might run a model is counted.
    let job = || Request::post("/v1/jobs").body(()).unwrap();
    assert_eq!(answer(&layer, job(), 200, None).await.status(), 200);
    assert_eq!(answer(&layer, job(), 200, None).await.status(), 429);
}

#[tokio::test]
async fn default_cost_zero_allows_while_anything_is_left() {
    let layer = budget().default_cost(0).into_layer();
    let request = || {
        let context = RequestContext::builder()
            .client(ClientIp::UnixSocket)
            .build();
        let request = Request::post("/").extension(context);
        request.body(()).unwrap()
    };
    let used = Some(usage(600, 0));
    for status in [200, 200, 429] {
        let response = answer(&layer, request(), 200, used).await;
        assert_eq!(response.status(), status);
    }
}

#[tokio::test]
async fn counts_each_model_of_each_principal_separately() {
    let by = KeyExtractor::principal().and(KeyExtractor::model());
    let limit = Limit::new("tokens", by).quota(Quota::per_minute(QUOTA));
    let budget = TokenBudget::with_store(Limits::new([limit]).unwrap(), store());
    let layer = budget.into_layer();
    for (principal, model, status) in [
        ("a", "large", 200),
        ("a", "large", 429),
        ("a", "small", 200),
        ("b", "large", 200),
        ("b", "large", 429),
    ] {
        let request = request_of(Principal::builder(principal).build(), Some(model), 600);
        let response = answer(&layer, request, 200, None).await;
        assert_eq!(response.status(), status, "{principal} {model}");
    }
}

#[tokio::test]
async fn token_overrides_replace_the_quota() {
    let limit = Limit::new("tokens", KeyExtractor::principal()).quota(Quota::per_minute(QUOTA));
    let budget = TokenBudget::with_store(Limits::new([limit]).unwrap(), store());
    let layer = budget.into_layer();
    let mut quotas = QuotaOverrides::default();
    quotas.tokens_per_minute = NonZeroU32::new(2_000);
    for (tokens, status) in [(2_001, 400), (1_500, 200), (501, 429), (500, 200)] {
        let own = Principal::builder("own").quotas(quotas).build();
        let request = request_of(own, None, tokens);
        let response = answer(&layer, request, 200, None).await;
        assert_eq!(response.status(), status, "{tokens}");
    }
}

// R05
#[tokio::test]
async fn refuses_requests_without_a_client_address() {
    let limit = Limit::new("tokens", KeyExtractor::client_ip()).quota(Quota::per_minute(QUOTA));
    let budget = TokenBudget::with_store(Limits::new([limit]).unwrap(), store());
    let refused = answer(
        &budget.into_layer(),
        Request::post("/").body(()).unwrap(),
        200,
        None,
    )
    .await;
    assert_eq!(refused.status(), 500);
}

#[tokio::test]
async fn refuses_when_the_store_fails() {
    let store = Remote {
        down: true,
        ..Remote::default()
    };
    let layer = TokenBudget::with_store(limits(), store).into_layer();
    let refused = answer(&layer, request(1, Some(1)), 200, None).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
}

#[tokio::test]
async fn refuses_with_503_when_the_local_share_is_too_small() {
    let down = Remote {
        down: true,
        ..Remote::default()
    };
    let fraction = Fraction::new(0.5).unwrap();
    let store = Fallback::new(down, FailurePolicy::Local { fraction });
    let layer = TokenBudget::with_store(limits(), store).into_layer();
    for (tokens, status) in [(501, 503), (300, 200), (300, 429)] {
        let response = answer(&layer, request(tokens, Some(0)), 200, None).await;
        assert_eq!(response.status(), status, "{tokens}");
    }
}

// R12
#[tokio::test]
async fn sends_openai_headers() {
    let layer = budget().openai_headers().into_layer();
    for (status, left, reset) in [(200, 700, "18s"), (429, 700, "18s")] {
        let tokens = if status == 200 { 300 } else { 701 };
        let response = answer(&layer, request(tokens, Some(0)), 200, None).await;
        assert_eq!(response.status(), status);
        let headers = response.headers();
        // FC10: the standard headers have no registered unit for tokens.
        assert!(!headers.contains_key("ratelimit-policy"));
        assert!(!headers.contains_key("ratelimit"));
        assert_eq!(headers["x-ratelimit-limit-tokens"], "1000");
        assert_eq!(headers["x-ratelimit-remaining-tokens"], left.to_string());
        assert_eq!(headers["x-ratelimit-reset-tokens"], reset);
    }
}

#[tokio::test]
async fn limits_can_be_replaced_at_runtime() {
    let limits = SharedLimits::from(limits());
    let layer = TokenBudget::with_store(limits.clone(), store()).into_layer();
    let spend = || async {
        answer(&layer, request(900, Some(0)), 200, None)
            .await
            .status()
    };
    assert_eq!(spend().await, 200);
    assert_eq!(spend().await, 429);
    let limit = Limit::new("tokens", KeyExtractor::global()).quota(Quota::per_minute(10_000));
    limits.replace(Limits::new([limit]).unwrap());
    assert_eq!(spend().await, 200);
}

/// The outcome of one of several concurrent requests.
#[derive(Clone, Debug)]
enum Step {
    Reserve {
        prompt: u64,
        max: u64,
    },
    Report {
        of: usize,
        usage: (u64, u64),
    },
    /// Completes with a status and a body that is read to the end.
    End {
        of: usize,
        status: u16,
    },
    /// Fails without a response.
    Fail {
        of: usize,
    },
    /// Responds, and is dropped before the body is read.
    Abort {
        of: usize,
        status: u16,
    },
    /// Is dropped before the response.
    Drop {
        of: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let of = 0_usize..16;
    let status = proptest::sample::select(vec![200_u16, 201, 400, 429, 500, 503]);
    prop_oneof![
        4 => (0_u64..300, 0_u64..300).prop_map(|(prompt, max)| Step::Reserve { prompt, max }),
        3 => (of.clone(), (0_u64..400, 0_u64..400))
            .prop_map(|(of, usage)| Step::Report { of, usage }),
        2 => (of.clone(), status.clone()).prop_map(|(of, status)| Step::End { of, status }),
        1 => of.clone().prop_map(|of| Step::Fail { of }),
        1 => (of.clone(), status).prop_map(|(of, status)| Step::Abort { of, status }),
        1 => of.prop_map(|of| Step::Drop { of }),
    ]
}

/// What the handler does next: respond with a status, or fail.
type Outcome = Result<u16, ()>;
type Told = Arc<Mutex<Option<oneshot::Receiver<Outcome>>>>;

/// A request in flight, and the usage of its model.
struct Running<F> {
    future: Pin<Box<F>>,
    outcome: oneshot::Sender<Outcome>,
    context: RequestContext,
    reserved: i64,
    used: Option<i64>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_interleaving_leaks_a_token_or_counts_it_twice(steps in vec(step(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(interleave(steps));
    }
}

async fn interleave(steps: Vec<Step>) {
    let layer = layer();
    let service = layer.layer(service_fn(|mut request: Request<()>| async move {
        let outcome = request.extensions_mut().remove::<Told>().unwrap();
        let outcome = outcome.lock().unwrap().take().unwrap();
        match outcome.await.unwrap() {
            Ok(status) => {
                let body = Full::new(Bytes::from_static(b"data"));
                Ok(Response::builder().status(status).body(body).unwrap())
            }
            Err(()) => Err("as the test requires"),
        }
    }));
    let mut running = Vec::new();
    // The sum over all completed requests.
    let mut charged = 0_i64;
    for step in steps {
        let of = match step {
            Step::Reserve { prompt, max } => {
                let mut request = request(prompt, Some(max));
                let context = RequestContext::of(request.extensions()).unwrap().clone();
                let (outcome, receiver) = oneshot::channel();
                let told: Told = Arc::new(Mutex::new(Some(receiver)));
                request.extensions_mut().insert(told);
                let mut future = Box::pin(service.clone().oneshot(request));
                let taken: i64 = running.iter().map(|it: &Running<_>| it.reserved).sum();
                let reserved = (prompt + max) as i64;
                let free = i64::from(QUOTA) - charged - taken;
                let mut cx = Context::from_waker(Waker::noop());
                match future.as_mut().poll(&mut cx) {
                    Poll::Pending => {
                        assert!(free >= reserved);
                        running.push(Running {
                            future,
                            outcome,
                            context,
                            reserved,
                            used: None,
                        });
                    }
                    Poll::Ready(refused) => {
                        assert_eq!(refused.unwrap().status(), 429);
                        assert!(free < reserved.max(1));
                    }
                }
                continue;
            }
            Step::Report { of, .. }
            | Step::End { of, .. }
            | Step::Fail { of }
            | Step::Abort { of, .. }
            | Step::Drop { of } => of,
        };
        if running.is_empty() {
            continue;
        }
        let of = of % running.len();
        if let Step::Report { usage: used, .. } = step {
            running[of].context.set_usage(usage(used.0, used.1));
            running[of].used = Some((used.0 + used.1) as i64);
            continue;
        }
        let Running {
            future,
            outcome,
            reserved,
            used,
            ..
        } = running.swap_remove(of);
        let unreported = match step {
            Step::End { status, .. } => {
                outcome.send(Ok(status)).unwrap();
                let body = future.await.unwrap().into_body();
                body.collect().await.unwrap();
                if status < 400 { reserved } else { 0 }
            }
            Step::Abort { status, .. } => {
                outcome.send(Ok(status)).unwrap();
                drop(future.await.unwrap());
                if status < 400 { reserved } else { 0 }
            }
            Step::Fail { .. } => {
                outcome.send(Err(())).unwrap();
                future.await.unwrap_err();
                0
            }
            _ => {
                drop(future);
                reserved
            }
        };
        charged += used.unwrap_or(unreported);
    }
    let mut used = i64::from(QUOTA) - i64::from(left(&layer).await);
    let taken: i64 = running.iter().map(|it| it.reserved).sum();
    assert_eq!(used, (charged + taken).clamp(0, i64::from(QUOTA)));
    for Running {
        future,
        reserved,
        used,
        ..
    } in running
    {
        drop(future);
        charged += used.unwrap_or(reserved);
    }
    used = i64::from(QUOTA) - i64::from(left(&layer).await);
    assert_eq!(used, charged.clamp(0, i64::from(QUOTA)));
}
