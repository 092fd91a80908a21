//! Tests of the concurrency guard around a service.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    convert::Infallible,
    future::{Future, pending, poll_fn},
    num::NonZeroU32,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use stockade_core::{
    client::PeerAddr,
    context::RequestContext,
    guard::{Guard, GuardLayer, Head, TakeReady},
    identity::{Principal, QuotaOverrides},
};
use stockade_rate_limit::{
    AcquireError, Concurrency, ConcurrencyLimit, KeyExtractor, MemoryPermit, MemoryPermits,
    PermitReply, PermitRequest, PermitStore, QueueTimeout, StoreError, StoreErrorKind,
};
use stockade_testkit::contract;
use tower::{Layer, Service, ServiceExt, service_fn, util::BoxCloneService};

fn max(max: u32) -> NonZeroU32 {
    NonZeroU32::new(max).unwrap()
}

fn all(permits: u32) -> Concurrency {
    Concurrency::new([ConcurrencyLimit::new(
        "all",
        KeyExtractor::global(),
        max(permits),
    )])
}

fn by_key(permits: u32) -> ConcurrencyLimit {
    ConcurrencyLimit::new("key", KeyExtractor::principal(), max(permits))
}

fn request_of(principal: &str) -> Request<()> {
    request_by(Principal::builder(principal).build())
}

fn request_by(principal: Principal) -> Request<()> {
    let context = RequestContext::builder().principal(principal).build();
    Request::builder().extension(context).body(()).unwrap()
}

/// A body of this many frames, each of which is pending once before it arrives.
struct Slowly {
    frames: usize,
    paused: bool,
}

impl Body for Slowly {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.paused = !self.paused;
        if self.paused {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.frames == 0 {
            return Poll::Ready(None);
        }
        self.frames -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"data")))))
    }
}

fn slowly(frames: usize) -> Slowly {
    Slowly {
        frames,
        paused: false,
    }
}

/// A handler that streams this many frames.
fn streaming(
    frames: usize,
) -> impl Service<Request<()>, Response = Response<Slowly>, Error = Infallible, Future: Send> + Clone
{
    service_fn(move |_| async move {
        tokio::task::yield_now().await;
        Ok(Response::new(slowly(frames)))
    })
}

type Inner = BoxCloneService<Request<()>, Response<Full<Bytes>>, Infallible>;

/// Sends a request and reads the body of the response.
async fn answer<G>(layer: &GuardLayer<G>, request: Request<()>) -> Response<Bytes>
where
    G: Guard<Wait: TakeReady<Inner>>,
{
    let service = layer.layer(Inner::new(service_fn(|_| async {
        Ok(Response::new(Full::new(Bytes::from_static(b"done"))))
    })));
    let (head, body) = service.oneshot(request).await.unwrap().into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

/// Polls once, without a waker.
async fn poll_once<F>(mut future: Pin<&mut F>) -> Poll<F::Output>
where
    F: Future,
{
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

#[tokio::test]
async fn upholds_the_contract() {
    let guard = Arc::new(all(1));
    let layer = Arc::clone(&guard).into_layer();
    // R11: with a single permit, any leak would refuse the next request.
    contract::is_shareable(&layer);
    contract::is_drop_safe(&layer, || Request::new(())).await;
    contract::passes_bodies_through(&layer, || Request::new(())).await;
    contract::passes_errors_through(&layer, || Request::new(())).await;
    assert_eq!(guard.stats().in_use, 0);

    let limit = || [ConcurrencyLimit::new("all", KeyExtractor::global(), max(2))];
    let remote = Arc::new(Concurrency::with_store(limit(), Remote::default()));
    contract::uphold(&Arc::clone(&remote).into_layer(), || Request::new(())).await;
    assert_eq!((remote.stats().in_use, remote.stats().waiting), (0, 0));
}

/// A store whose replies are always pending.
#[derive(Default)]
struct Remote {
    permits: MemoryPermits,
    down: bool,
}

impl PermitStore for Remote {
    type Permit = MemoryPermit;
    type Wait = Pin<Box<dyn Future<Output = Result<MemoryPermit, AcquireError>> + Send>>;

    fn acquire(
        &self,
        requests: &[PermitRequest<'_>],
        queue_timeout: Option<QueueTimeout>,
    ) -> PermitReply<MemoryPermit, Self::Wait> {
        let answer = self.permits.acquire(requests, queue_timeout);
        let down = self.down;
        PermitReply::Wait(Box::pin(async move {
            tokio::task::yield_now().await;
            if down {
                let error = StoreError::new(StoreErrorKind::Unavailable);
                return Err(AcquireError::Store(error));
            }
            match answer {
                PermitReply::Ready(permit) => permit,
                PermitReply::Wait(wait) => wait.await,
            }
        }))
    }
}

#[tokio::test]
async fn refuses_when_the_store_fails() {
    let store = Remote {
        down: true,
        ..Remote::default()
    };
    let guard = Arc::new(Concurrency::with_store([by_key(1)], store));
    let refused = answer(&Arc::clone(&guard).into_layer(), request_of("a")).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    let stats = guard.stats();
    assert_eq!((stats.failed, stats.in_use), (1, 0));
}

#[tokio::test]
async fn refuses_one_too_many_with_the_reason() {
    let layer = Concurrency::new([by_key(1)]).into_layer();
    let held = layer
        .layer(streaming(3))
        .oneshot(request_of("a"))
        .await
        .unwrap();

    let refused = answer(&layer, request_of("a")).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let headers = refused.headers();
    assert_eq!(headers["retry-after"], "1");
    assert_eq!(
        headers["ratelimit-policy"],
        r#""key";q=1;qu="concurrent-requests""#
    );
    assert_eq!(headers["ratelimit"], r#""key";r=0"#);
    let body = String::from_utf8(refused.into_body().to_vec()).unwrap();
    assert!(body.contains("CONCURRENCY_LIMIT"), "{body}");

    // Another key has its own permits.
    let passed = answer(&layer, request_of("b")).await;
    assert_eq!(passed.status(), StatusCode::OK);
    assert_eq!(
        passed.headers()["ratelimit-policy"],
        r#""key";q=1;qu="concurrent-requests""#
    );
    drop(held);
    assert_eq!(answer(&layer, request_of("a")).await.status(), 200);
}

#[tokio::test]
async fn an_overloaded_server_is_a_503() {
    let limit = ConcurrencyLimit::new("server", KeyExtractor::global(), max(1)).overload();
    let layer = Concurrency::new([limit]).into_layer();
    let _held = layer
        .layer(streaming(1))
        .oneshot(request_of("a"))
        .await
        .unwrap();
    let refused = answer(&layer, request_of("b")).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert!(!refused.headers().contains_key("ratelimit"));
    let body = String::from_utf8(refused.into_body().to_vec()).unwrap();
    assert!(body.contains("OVERLOADED"), "{body}");
}

#[tokio::test]
async fn a_refused_request_holds_no_permit() {
    let server = ConcurrencyLimit::new("server", KeyExtractor::global(), max(2));
    let guard = Arc::new(Concurrency::new([server, by_key(1)]));
    let layer = Arc::clone(&guard).into_layer();
    let _held = layer
        .layer(streaming(1))
        .oneshot(request_of("a"))
        .await
        .unwrap();
    for _ in 0..5 {
        assert_eq!(answer(&layer, request_of("a")).await.status(), 429);
    }
    assert_eq!(answer(&layer, request_of("b")).await.status(), 200);
    assert_eq!(guard.stats().refused, 5);
}

#[tokio::test]
async fn overrides_replace_the_limit() {
    let layer = Concurrency::new([by_key(1)]).into_layer();
    let mut quotas = QuotaOverrides::default();
    quotas.concurrency = Some(max(2));
    let request = || request_by(Principal::builder("own").quotas(quotas).build());
    let service = layer.layer(streaming(1));
    let one = service.clone().oneshot(request()).await.unwrap();
    let two = answer(&layer, request()).await;
    assert_eq!(two.status(), 200);
    assert_eq!(
        two.headers()["ratelimit-policy"],
        r#""key";q=2;qu="concurrent-requests""#
    );
    let _two = service.oneshot(request()).await.unwrap();
    assert_eq!(answer(&layer, request()).await.status(), 429);
    drop(one);
    assert_eq!(answer(&layer, request()).await.status(), 200);
}

// R05
#[tokio::test]
async fn refuses_requests_without_a_client_address() {
    let limit = ConcurrencyLimit::new("ip", KeyExtractor::client_ip(), max(1));
    let layer = Concurrency::new([limit]).into_layer();
    assert_eq!(answer(&layer, Request::new(())).await.status(), 500);
    let mut request = Request::new(());
    request.extensions_mut().insert(PeerAddr::UnixSocket);
    assert_eq!(answer(&layer, request).await.status(), 200);
}

// R11
#[tokio::test]
async fn a_panicking_handler_releases_its_permit() {
    let guard = Arc::new(all(1));
    let layer = Arc::clone(&guard).into_layer();
    for _ in 0..3 {
        let service = layer.layer(service_fn(|_: Request<()>| async {
            tokio::task::yield_now().await;
            if true {
                panic!("as the test requires");
            }
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }));
        let task = tokio::spawn(service.oneshot(Request::new(())));
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(guard.stats().in_use, 0);
        assert_eq!(guard.store().active_keys(), 0);
    }
    assert_eq!(answer(&layer, Request::new(())).await.status(), 200);
}

// R10
#[tokio::test]
async fn dropped_streams_release_their_permits() {
    const STREAMS: usize = 1_000;
    let guard = Arc::new(Concurrency::new([
        ConcurrencyLimit::new("server", KeyExtractor::global(), max(STREAMS as u32)),
        by_key(STREAMS as u32 / 4),
    ]));
    let layer = Arc::clone(&guard).into_layer();
    let mut streams = Vec::new();
    for n in 0..STREAMS {
        let service = layer.layer(streaming(20));
        let polls = n.wrapping_mul(2_654_435_761) % 64;
        streams.push(tokio::spawn(async move {
            let mut request = pin!(async {
                let response = service.oneshot(request_of(["a", "b", "c", "d"][n % 4]));
                let response = response.await.unwrap();
                assert_eq!(response.status(), 200);
                response.into_body().collect().await
            });
            for _ in 0..polls {
                if poll_once(request.as_mut()).await.is_ready() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        }));
    }
    for stream in streams {
        stream.await.unwrap();
    }
    let stats = guard.stats();
    assert_eq!((stats.in_use, stats.refused), (0, 0));
    assert!(stats.admitted > STREAMS as u64 / 2);
    assert_eq!(guard.store().active_keys(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn never_more_than_the_limit_run_at_once() {
    const MAX: usize = 100;
    for queue_timeout in [None, Some(Duration::from_secs(60))] {
        let mut guard = all(MAX as u32);
        if let Some(timeout) = queue_timeout {
            guard = guard.queue(timeout, 1_000);
        }
        let guard = Arc::new(guard);
        let layer = Arc::clone(&guard).into_layer();
        let running = Arc::new(AtomicUsize::new(0));
        let service = layer.layer(service_fn({
            let running = Arc::clone(&running);
            move |_: Request<()>| {
                let running = Arc::clone(&running);
                async move {
                    assert!(running.fetch_add(1, Ordering::SeqCst) < MAX);
                    for _ in 0..20 {
                        tokio::task::yield_now().await;
                    }
                    running.fetch_sub(1, Ordering::SeqCst);
                    Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
                }
            }
        }));
        let tasks: Vec<_> = (0..1_000)
            .map(|_| tokio::spawn(service.clone().oneshot(Request::new(()))))
            .collect();
        let mut passed = 0;
        for task in tasks {
            passed += u64::from(task.await.unwrap().unwrap().status() == 200);
        }
        let stats = guard.stats();
        assert_eq!(stats.admitted, passed);
        assert_eq!(stats.refused, 1_000 - passed);
        assert!(
            queue_timeout.is_none() || passed == 1_000,
            "{passed} passed"
        );
        assert_eq!((stats.in_use, stats.waiting), (0, 0));
        assert_eq!(guard.store().active_keys(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn waits_in_turn_until_the_deadline_and_no_longer() {
    let guard = Arc::new(all(1).queue(Duration::from_secs(5), 2));
    let layer = Arc::clone(&guard).into_layer();
    let held = layer
        .layer(streaming(1))
        .oneshot(Request::new(()))
        .await
        .unwrap();

    let mut first = pin!(answer(&layer, Request::new(())));
    let mut second = pin!(answer(&layer, Request::new(())));
    assert!(poll_once(first.as_mut()).await.is_pending());
    assert!(poll_once(second.as_mut()).await.is_pending());
    assert_eq!(guard.stats().waiting, 2);
    // The queue is full.
    assert_eq!(answer(&layer, Request::new(())).await.status(), 429);

    tokio::time::advance(Duration::from_secs(4)).await;
    drop(held);
    assert!(poll_once(second.as_mut()).await.is_pending());
    assert_eq!(first.await.status(), 200);
    assert_eq!(second.await.status(), 200);

    let _held = layer
        .layer(streaming(1))
        .oneshot(Request::new(()))
        .await
        .unwrap();
    let asked = tokio::time::Instant::now();
    let refused = answer(&layer, Request::new(())).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(asked.elapsed().as_secs(), 5);
    let stats = guard.stats();
    assert_eq!((stats.in_use, stats.waiting), (1, 0));
}

#[tokio::test]
async fn a_permit_of_a_departed_waiter_goes_to_the_next() {
    let guard = Arc::new(all(1).queue(Duration::from_secs(60), 9));
    let layer = Arc::clone(&guard).into_layer();
    let held = layer
        .layer(streaming(1))
        .oneshot(Request::new(()))
        .await
        .unwrap();
    let mut served = Box::pin(answer(&layer, Request::new(())));
    let mut left = Box::pin(answer(&layer, Request::new(())));
    let mut next = Box::pin(answer(&layer, Request::new(())));
    for waiter in [&mut served, &mut left, &mut next] {
        assert!(poll_once(waiter.as_mut()).await.is_pending());
    }
    // The first is handed the permit and leaves before it polls; the second leaves the queue.
    drop(held);
    drop(left);
    assert_eq!(guard.stats().waiting, 2);
    drop(served);
    assert_eq!(next.await.status(), 200);
    assert_eq!(guard.store().active_keys(), 0);
    assert_eq!(guard.store().waiting(), 0);
}

#[tokio::test]
async fn guards_with_one_store_share_permits() {
    let store = MemoryPermits::new();
    let guard = || Concurrency::with_store([by_key(1)], store.clone()).into_layer();
    let (one, other) = (guard(), guard());
    let held = one
        .layer(streaming(1))
        .oneshot(request_of("a"))
        .await
        .unwrap();
    assert_eq!(answer(&other, request_of("a")).await.status(), 429);
    let head = Head::new(request_of("a").into_parts().0);
    let limit = by_key(1);
    let request = limit.permit_request(&head).unwrap().unwrap();
    assert_eq!(store.in_use(&request), 1);
    drop(held);
    assert_eq!(store.in_use(&request), 0);
    assert_eq!(answer(&other, request_of("a")).await.status(), 200);
}

#[derive(Clone, Debug)]
enum Step {
    Ask(usize),
    Poll(usize),
    Drop(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_usize..3).prop_map(Step::Ask),
        (0_usize..64).prop_map(Step::Poll),
        (0_usize..64).prop_map(Step::Drop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_interleaving_of_waits_and_drops_leaks_a_permit(
        steps in proptest::collection::vec(step(), 0..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let server = ConcurrencyLimit::new("server", KeyExtractor::global(), max(3));
            let guard = Arc::new(
                Concurrency::new([server, by_key(2)]).queue(Duration::from_secs(1), 4),
            );
            let layer = Arc::clone(&guard).into_layer();
            let running = Arc::new(AtomicUsize::new(0));
            // Runs until it is dropped.
            let service = layer.layer(service_fn(|_: Request<()>| {
                let running = Running::new(&running);
                async move {
                    pending::<()>().await;
                    drop(running);
                    Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
                }
            }));
            let mut requests = Vec::new();
            for step in steps {
                match step {
                    Step::Ask(key) => {
                        let request = request_of(["a", "b", "c"][key]);
                        requests.push(Box::pin(service.clone().oneshot(request)));
                    }
                    Step::Poll(index) if !requests.is_empty() => {
                        let index = index % requests.len();
                        if poll_once(requests[index].as_mut()).await.is_ready() {
                            drop(requests.swap_remove(index));
                        }
                    }
                    Step::Drop(index) if !requests.is_empty() => {
                        drop(requests.swap_remove(index % requests.len()));
                    }
                    Step::Poll(_) | Step::Drop(_) => {}
                }
                assert!(running.load(Ordering::SeqCst) <= 3);
                assert_eq!(running.load(Ordering::SeqCst) as u64, guard.stats().in_use);
                // A permit that was handed over is not taken until its request is polled.
                assert!(guard.store().waiting() <= 4);
            }
            // Waiting requests are served once the running ones are gone.
            requests.clear();
            assert_eq!(guard.stats().in_use, 0);
            assert_eq!((guard.store().active_keys(), guard.store().waiting()), (0, 0));
        });
    }
}

/// Counts the running handlers.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
