//! Tests of decisions while a store is slow, down, or back.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use stockade_core::{client::PeerAddr, guard::Guard};
use stockade_rate_limit::{
    Bucket, Decision, FailurePolicy, Fallback, Fraction, KeyExtractor, Limit, LimitStore, Limits,
    Quota, QuotaStatus, RateLimit, StoreError, StoreErrorKind, StoreHealth, StoreReply,
};
use stockade_testkit::contract;
use tokio::time::{advance, sleep};
use tower::{ServiceBuilder, ServiceExt};

/// The next behaviour of the remote store.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    StoreReply,
    AnswerAtOnce,
    Fail,
    FailAtOnce,
    AnswerAfter(Duration),
    Hang,
}

/// A remote store with scripted behaviour that allows everything.
#[derive(Clone)]
struct Remote {
    does: Arc<Mutex<Does>>,
    asked: Arc<AtomicUsize>,
    settled: Arc<AtomicUsize>,
}

impl Remote {
    fn new(does: Does) -> Self {
        Self {
            does: Arc::new(Mutex::new(does)),
            asked: Arc::default(),
            settled: Arc::default(),
        }
    }

    fn now(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl LimitStore for Remote {
    type Wait = Pin<Box<dyn Future<Output = Result<Decision, StoreError>> + Send>>;

    fn take(&self, buckets: &[Bucket<'_>]) -> StoreReply<Self::Wait> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let status = QuotaStatus::new(7, Duration::from_secs(1), Duration::ZERO);
        let decision = Decision::new(buckets.iter().map(|_| status));
        let down = || StoreError::new(StoreErrorKind::Unavailable);
        let does = *self.does.lock().unwrap();
        match does {
            Does::AnswerAtOnce => StoreReply::Ready(Ok(decision)),
            Does::FailAtOnce => StoreReply::Ready(Err(down())),
            Does::StoreReply => StoreReply::Wait(Box::pin(async { Ok(decision) })),
            Does::Fail => StoreReply::Wait(Box::pin(async move { Err(down()) })),
            Does::Hang => StoreReply::Wait(Box::pin(std::future::pending())),
            Does::AnswerAfter(delay) => StoreReply::Wait(Box::pin(async move {
                // Sleeps: the clock is paused.
                sleep(delay).await;
                Ok(decision)
            })),
        }
    }

    fn settle(&self, _bucket: &Bucket<'_>, _delta: i64) {
        self.settled.fetch_add(1, Ordering::SeqCst);
    }
}

fn half() -> FailurePolicy {
    FailurePolicy::Local {
        fraction: Fraction::new(0.5).unwrap(),
    }
}

struct Server {
    guard: Arc<RateLimit<Fallback<Remote>>>,
    fallback: Fallback<Remote>,
    remote: Remote,
    changes: Arc<Mutex<Vec<bool>>>,
}

impl Server {
    fn new(policy: FailurePolicy, does: Does) -> Self {
        let remote = Remote::new(does);
        let changes = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&changes);
        let fallback = Fallback::new(remote.clone(), policy)
            .circuit(3, Duration::from_secs(10))
            .on_change(move |health| told.lock().unwrap().push(health.up));
        let limit = Limit::new("ip", KeyExtractor::client_ip()).quota(Quota::per_hour(10));
        let limits = Limits::new([limit]).unwrap();
        Self {
            guard: Arc::new(RateLimit::with_store(limits, fallback.clone())),
            fallback,
            remote,
            changes,
        }
    }

    async fn request(&self) -> (StatusCode, HeaderMap) {
        let service = ServiceBuilder::new()
            .layer(Arc::clone(&self.guard).into_layer())
            .service_fn(async |_: Request<Full<Bytes>>| {
                Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default()))
            });
        let peer = PeerAddr::from(SocketAddr::from(([192, 0, 2, 1], 4711)));
        let request = Request::builder().extension(peer).body(Full::default());
        let response = service.oneshot(request.unwrap()).await.unwrap();
        (response.status(), response.headers().clone())
    }

    async fn statuses(&self, requests: usize) -> Vec<u16> {
        let mut statuses = Vec::new();
        for _ in 0..requests {
            statuses.push(self.request().await.0.as_u16());
        }
        statuses
    }

    fn health(&self) -> StoreHealth {
        self.fallback.health()
    }
}

const FAILURES: [Does; 4] = [
    Does::Fail,
    Does::FailAtOnce,
    Does::Hang,
    Does::AnswerAfter(Duration::from_millis(500)),
];

#[tokio::test(start_paused = true)]
async fn a_responsive_store_decides() {
    for does in [
        Does::StoreReply,
        Does::AnswerAtOnce,
        Does::AnswerAfter(Duration::from_millis(49)),
    ] {
        let server = Server::new(FailurePolicy::Deny, does);
        let (status, headers) = server.request().await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers["ratelimit"], "\"ip\";r=7;t=1");
        let health = server.health();
        assert!(health.up && health.failures == 0 && health.fallback_decisions == 0);
    }
}

// R13
#[tokio::test(start_paused = true)]
async fn deny_refuses_with_a_503_and_a_retry_delay() {
    for does in FAILURES {
        let server = Server::new(FailurePolicy::Deny, does);
        for _ in 0..5 {
            let (status, headers) = server.request().await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{does:?}");
            assert_eq!(headers["retry-after"], "1");
        }
        assert_eq!(server.health().fallback_decisions, 5, "{does:?}");
    }
}

// R13
#[tokio::test(start_paused = true)]
async fn allow_is_counted_and_sends_no_headers() {
    for does in FAILURES {
        let server = Server::new(FailurePolicy::Allow, does);
        for _ in 0..50 {
            let (status, headers) = server.request().await;
            assert_eq!(status, StatusCode::OK, "{does:?}");
            assert!(
                !headers.contains_key("ratelimit"),
                "the request was not counted"
            );
        }
        let health = server.health();
        assert!(!health.up);
        assert_eq!(health.fallback_decisions, 50);
        assert_eq!(*server.changes.lock().unwrap(), [false]);
    }
}

// R13
#[tokio::test(start_paused = true)]
async fn local_counts_with_its_share_of_the_quota() {
    for does in FAILURES {
        let server = Server::new(half(), does);
        let statuses = server.statuses(8).await;
        assert_eq!(
            statuses,
            [200, 200, 200, 200, 200, 429, 429, 429],
            "{does:?}"
        );
        let (_, headers) = server.request().await;
        // The `Retry-After` of local limits is correct.
        assert_eq!(headers["retry-after"], "720");
        assert_eq!(server.health().fallback_decisions, 9);
    }
}

#[tokio::test(start_paused = true)]
async fn no_decision_takes_longer_than_the_deadline() {
    let server = Server::new(half(), Does::Hang);
    for _ in 0..3 {
        let start = tokio::time::Instant::now();
        server.request().await;
        assert_eq!(start.elapsed(), Duration::from_millis(50));
    }
    // The store is down and is not waited for.
    let start = tokio::time::Instant::now();
    server.request().await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(server.remote.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_is_probed_by_one_request() {
    let server = Server::new(FailurePolicy::Allow, Does::Fail);
    server.statuses(10).await;
    assert_eq!(server.remote.asked(), 3);
    assert!(!server.health().up);

    advance(Duration::from_secs(10)).await;
    server.statuses(10).await;
    assert_eq!(server.remote.asked(), 4, "one asks, and fails");

    advance(Duration::from_secs(9)).await;
    server.remote.now(Does::StoreReply);
    server.statuses(10).await;
    assert_eq!(server.remote.asked(), 4, "left alone again");

    advance(Duration::from_secs(1)).await;
    server.statuses(10).await;
    assert_eq!(server.remote.asked(), 14);
    let health = server.health();
    assert!(health.up && health.failures_in_a_row == 0);
    assert_eq!((health.failures, health.since), (4, Duration::ZERO));
    assert_eq!(*server.changes.lock().unwrap(), [false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_probe_is_followed_by_another() {
    let server = Server::new(FailurePolicy::Deny, Does::Fail);
    server.statuses(3).await;
    advance(Duration::from_secs(10)).await;
    server.remote.now(Does::Hang);
    let probe = tokio::time::timeout(Duration::from_millis(1), server.request()).await;
    assert!(probe.is_err() && server.remote.asked() == 4);

    server.remote.now(Does::StoreReply);
    server.request().await;
    assert_eq!(server.remote.asked(), 4);
    advance(Duration::from_millis(10_050)).await;
    assert_eq!(server.request().await.0, StatusCode::OK);
    assert!(server.health().up);
}

// R13
#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_is_used_again_without_requests() {
    let server = Server::new(FailurePolicy::Deny, Does::Hang);
    server.statuses(3).await;
    assert!(!server.health().up);
    // Sleeps: the clock is paused.
    sleep(Duration::from_secs(25)).await;
    assert_eq!(server.remote.asked(), 5, "two probes");
    let health = server.health();
    assert!(!health.up && health.failures == 5 && health.fallback_decisions == 3);

    server.remote.now(Does::StoreReply);
    // Sleeps: the clock is paused.
    sleep(Duration::from_secs(11)).await;
    assert!(server.health().up);
    assert_eq!(*server.changes.lock().unwrap(), [false, true]);

    // Again, after the first task has ended.
    server.remote.now(Does::FailAtOnce);
    server.statuses(3).await;
    server.remote.now(Does::AnswerAtOnce);
    // Sleeps: the clock is paused.
    sleep(Duration::from_secs(11)).await;
    assert!(server.health().up);
    assert_eq!(*server.changes.lock().unwrap(), [false, true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn an_unused_store_is_not_probed() {
    let server = Server::new(FailurePolicy::Deny, Does::Fail);
    server.statuses(3).await;
    let remote = server.remote.clone();
    drop(server);
    // Sleeps: the clock is paused.
    sleep(Duration::from_secs(60)).await;
    assert_eq!(remote.asked(), 3);
    assert_eq!(Arc::strong_count(&remote.asked), 1, "the store was dropped");
}

#[tokio::test(start_paused = true)]
async fn occasional_failures_do_not_open_the_circuit() {
    let server = Server::new(FailurePolicy::Deny, Does::StoreReply);
    for _ in 0..10 {
        server.remote.now(Does::Fail);
        assert_eq!(server.statuses(2).await, [503, 503]);
        server.remote.now(Does::StoreReply);
        assert_eq!(server.statuses(1).await, [200]);
    }
    let health = server.health();
    assert!(health.up && health.failures == 20);
    assert!(server.changes.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn settlements_go_to_the_deciding_store() {
    let server = Server::new(half(), Does::StoreReply);
    let bucket = stockade_rate_limit::OwnedBucket::new("tokens", "a", Quota::per_hour(100), 50);
    server.fallback.settle(&bucket.as_bucket(), -10);
    assert_eq!(server.remote.settled.load(Ordering::SeqCst), 1);

    server.remote.now(Does::FailAtOnce);
    server.statuses(3).await;
    let left = |answer| match answer {
        StoreReply::Ready(Ok(decision)) => Decision::statuses(&decision)[0].remaining(),
        other => panic!("{:?}", matches!(other, StoreReply::Wait(_))),
    };
    assert_eq!(left(server.fallback.take(&[bucket.as_bucket()])), 0);
    server.fallback.settle(&bucket.as_bucket(), -30);
    assert_eq!(server.remote.settled.load(Ordering::SeqCst), 1);
    let look = stockade_rate_limit::OwnedBucket::new("tokens", "a", Quota::per_hour(100), 0);
    assert_eq!(left(server.fallback.take(&[look.as_bucket()])), 30);
}

#[test]
fn fractions_are_greater_than_zero_and_at_most_one() {
    for part in [0.0, -0.5, 1.1, f64::NAN, f64::INFINITY] {
        assert!(Fraction::new(part).is_err(), "{part}");
    }
    for part in [f64::MIN_POSITIVE, 0.25, 1.0] {
        assert_eq!(Fraction::new(part).unwrap().get(), part);
    }
}

#[tokio::test]
async fn a_waiting_guard_upholds_the_guard_contract() {
    for does in [Does::StoreReply, Does::AnswerAtOnce, Does::Fail] {
        let server = Server::new(FailurePolicy::Allow, does);
        let layer = Arc::clone(&server.guard).into_layer();
        let peer = PeerAddr::from(SocketAddr::from(([192, 0, 2, 1], 4711)));
        let request = || Request::builder().extension(peer).body(()).unwrap();
        contract::uphold(&layer, request).await;
    }
}
