//! Responses that use more tokens than were reserved for them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{convert::Infallible, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use stockade_core::{
    client::ClientIp,
    clock::Timestamp,
    context::RequestContext,
    guard::Guard,
    llm::{ModelRequest, TokenUsage},
    refusal::{Refusal, RefusalKind},
};
use stockade_rate_limit::{
    Bucket, Decision, KeyExtractor, Limit, LimitStore, Limits, MemoryLimitStore, Quota,
    ReservedTokens, StoreError, StoreErrorKind, StoreReply, TokenBudget,
};
use stockade_testkit::FakeClock;
use tower::{Layer, ServiceExt, service_fn};

const QUOTA: u32 = 1_000;

fn memory() -> Arc<MemoryLimitStore> {
    let clock = FakeClock::at(Timestamp::from_secs(1_000_000));
    MemoryLimitStore::with_clock(1_000, clock).into()
}

/// A request whose response is on its way, with a reservation of 300 tokens.
struct Running<S> {
    context: RequestContext,
    reserved: ReservedTokens<S>,
    response: Response<Box<dyn Send>>,
}

impl<S> Running<S>
where
    S: LimitStore,
{
    async fn start(store: S, status: u16) -> Self {
        let limit = Limit::new("tokens", KeyExtractor::global()).quota(Quota::per_minute(QUOTA));
        let budget = TokenBudget::with_store(Limits::new([limit]).unwrap(), store);
        let context = RequestContext::builder()
            .client(ClientIp::UnixSocket)
            .model_request(ModelRequest::new(None, 100, Some(200)))
            .build();
        let service = service_fn(async |request: Request<()>| {
            let reserved: &ReservedTokens<S> = request.extensions().get().unwrap();
            let response = Response::builder()
                .status(status)
                .extension(reserved.clone());
            Ok::<_, Infallible>(response.body(Full::<Bytes>::from("text")).unwrap())
        });
        let request = Request::builder().extension(context.clone()).body(());
        let service = budget.into_layer().layer(service);
        let response = service.oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), status);
        let reserved = response.extensions().get().cloned().unwrap();
        Self {
            context,
            reserved,
            response: response.map(|body| Box::new(body) as _),
        }
    }

    async fn extend_to(&self, completion_tokens: u64) -> Result<(), Refusal> {
        self.context.set_usage(TokenUsage {
            prompt_tokens: 100,
            completion_tokens,
        });
        self.reserved.extend().await
    }

    fn end(self) {
        drop(self.response);
    }
}

/// The tokens that are left.
async fn left(store: &Arc<MemoryLimitStore>) -> u32 {
    let limit = Limit::new("tokens", KeyExtractor::global()).quota(Quota::per_minute(QUOTA));
    let limits = Limits::new([limit]).unwrap();
    let layer = TokenBudget::with_store(limits, Arc::clone(store))
        .openai_headers()
        .default_cost(0)
        .into_layer();
    let service = layer.layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    let context = RequestContext::builder().client(ClientIp::UnixSocket);
    let request = Request::post("/").extension(context.build()).body(());
    let response = service.oneshot(request.unwrap()).await.unwrap();
    let left = response.headers().get("x-ratelimit-remaining-tokens");
    left.unwrap().to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_response_within_its_reservation_is_not_extended() {
    let store = memory();
    let running = Running::start(Arc::clone(&store), 200).await;
    assert_eq!(running.reserved.excess(), 0, "no usage is reported yet");
    assert_eq!(running.extend_to(200).await, Ok(()));
    assert_eq!(left(&store).await, QUOTA - 300);
}

#[tokio::test]
async fn an_excess_is_reserved_and_charged_once() {
    let store = memory();
    let running = Running::start(Arc::clone(&store), 200).await;
    for completion in [500, 500, 800] {
        assert_eq!(running.extend_to(completion).await, Ok(()));
        assert_eq!(left(&store).await, QUOTA - 100 - completion as u32);
    }
    assert_eq!(running.reserved.excess(), 0);
    running.end();
    assert_eq!(left(&store).await, QUOTA - 900);
}

#[tokio::test]
async fn an_excess_over_what_is_left_is_refused() {
    // The second excess alone is more than the quota ever holds.
    for completion in [901, 5_000] {
        let store = memory();
        let running = Running::start(Arc::clone(&store), 200).await;
        assert_eq!(running.extend_to(500).await, Ok(()));
        let refusal = running.extend_to(completion).await.unwrap_err();
        assert_eq!(refusal.kind(), RefusalKind::RateLimited);
        assert_eq!(refusal.code(), "TOKEN_LIMIT");
        assert!(refusal.retry_after_secs().is_some_and(|secs| secs >= 1));
        assert_eq!(refusal.violations().len(), 1);
        assert_eq!(refusal.reason(), None, "it is no offence");
        assert_eq!(left(&store).await, QUOTA - 600, "nothing is debited");
        running.end();
        assert_eq!(left(&store).await, 0, "the excess is a debt");
    }
}

#[tokio::test]
async fn responses_share_what_is_left() {
    let store = memory();
    let first = Running::start(Arc::clone(&store), 200).await;
    let second = Running::start(Arc::clone(&store), 200).await;
    assert_eq!(first.extend_to(500).await, Ok(()));
    assert!(second.extend_to(500).await.is_err());
    first.end();
    assert_eq!(left(&store).await, 100);
}

#[tokio::test]
async fn a_charge_without_usage_is_the_reservation() {
    for (charge, charged) in [(true, 300), (false, 0)] {
        let store = memory();
        let running = Running::start(Arc::clone(&store), 500).await;
        if charge {
            running.reserved.charge();
        }
        running.end();
        assert_eq!(left(&store).await, QUOTA - charged);
    }
}

/// A store whose decisions are pending, and which fails for one cost.
struct Remote(Arc<MemoryLimitStore>);

impl LimitStore for Remote {
    type Wait = Pin<Box<dyn Future<Output = Result<Decision, StoreError>> + Send>>;

    fn take(&self, buckets: &[Bucket<'_>]) -> StoreReply<Self::Wait> {
        let down = buckets.iter().any(|bucket| bucket.cost() == 666);
        let StoreReply::Ready(decision) = self.0.take(buckets);
        StoreReply::Wait(Box::pin(async move {
            tokio::task::yield_now().await;
            match down {
                true => Err(StoreError::new(StoreErrorKind::Unavailable)),
                false => decision,
            }
        }))
    }

    fn settle(&self, bucket: &Bucket<'_>, delta: i64) {
        self.0.settle(bucket, delta);
    }
}

#[tokio::test]
async fn waits_for_a_remote_store_and_outlives_its_failure() {
    let running = Running::start(Remote(memory()), 200).await;
    assert_eq!(running.extend_to(400).await, Ok(()));
    assert_eq!(running.reserved.excess(), 0);
    // The excess for which the store fails.
    assert_eq!(running.extend_to(400 + 666).await, Ok(()));
    assert_eq!(running.reserved.excess(), 666, "it is not reserved");
    assert!(running.extend_to(2_000).await.is_err());
}
