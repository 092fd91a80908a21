//! Tests of permits in a real Redis.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{num::NonZeroU32, time::Duration};

use http::Request;
use stockade_core::guard::{Check, Guard, Head};
use stockade_rate_limit::{Concurrency, ConcurrencyHook, ConcurrencyLimit, KeyExtractor};
use stockade_redis::{RedisPermit, RedisPermits};
use stockade_testkit::poll::until_async;
use support::{Server, begin, connect};
use tokio::time::timeout;

type Permit = ConcurrencyHook<RedisPermit>;

fn guard(store: &RedisPermits, most: u32) -> Concurrency<RedisPermits> {
    let most = NonZeroU32::new(most).unwrap();
    let limit = ConcurrencyLimit::new("streams", KeyExtractor::global(), most);
    Concurrency::with_store([limit], store.clone())
}

/// Requests a permit; returns the code of the refusal otherwise.
async fn ask(guard: &Concurrency<RedisPermits>) -> Result<Permit, String> {
    let head = Head::new(Request::new(()).into_parts().0);
    let permit = match guard.check(&head) {
        Check::Pass(permit) => Ok(permit),
        Check::Refuse(refusal) => Err(refusal),
        Check::Answer(answer) => panic!("{answer:?}"),
        Check::Wait(wait) => wait.await,
    };
    permit.map_err(|refusal| refusal.code().to_owned())
}

/// The permits of [`guard`] in Redis, each with the time when it expires.
const STREAMS: &str = "stockade:{default}:permits:streams:all";

fn in_use(server: &Server) -> usize {
    server.run(&["ZCARD", STREAMS])
}

// R15
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_share_permits() {
    let server = Server::start();
    let stores = [
        RedisPermits::new(&connect(&server).await),
        RedisPermits::new(&connect(&server).await),
    ];
    let guards = [guard(&stores[0], 10), guard(&stores[1], 10)];
    let mut tasks = Vec::new();
    for index in 0..200 {
        let guard = guards[index % 2].clone();
        tasks.push(tokio::spawn(async move { ask(&guard).await }));
    }
    let mut permits = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok(permit) => permits.push(permit),
            Err(code) => assert_eq!(code, "CONCURRENCY_LIMIT"),
        }
    }
    assert_eq!(permits.len(), 10);
    drop(permits);
    until_async("all given back", async || in_use(&server) == 0).await;
    assert_eq!(stores[0].stats().live + stores[1].stats().live, 0);
}

// R10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_dropped_while_acquiring_holds_nothing() {
    let server = Server::start();
    let store = RedisPermits::new(&connect(&server).await);
    let guard = guard(&store, 1_000);
    for index in 0..300_u64 {
        let _ = timeout(Duration::from_micros(index * 3), ask(&guard)).await;
    }
    until_async("all given back", async || {
        in_use(&server) == 0 && store.stats().live == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permits_of_a_crashed_process_expire_and_others_stay() {
    let server = Server::start();
    let life = Duration::from_millis(900);
    let alive = RedisPermits::with_ttl(&connect(&server).await, life);
    let kept = ask(&guard(&alive, 2)).await.unwrap();
    // A runtime that ends simulates a crash: nothing is renewed or released.
    let url = server.url();
    let died = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let permit = runtime.block_on(async {
            let redis = begin(&url);
            redis.connected().await;
            ask(&guard(&RedisPermits::with_ttl(&redis, life), 2))
                .await
                .unwrap()
        });
        runtime.shutdown_background();
        std::mem::forget(permit);
    });
    died.join().unwrap();
    let guard = guard(&alive, 2);
    assert_eq!(ask(&guard).await.unwrap_err(), "CONCURRENCY_LIMIT");
    let mut second = None;
    until_async("the permit of the crashed process expires", async || {
        second = ask(&guard).await.ok();
        second.is_some()
    })
    .await;
    // FP01: permits are renewed beyond their lifetime, even if they are all that is left of
    // their store.
    drop((guard, alive));
    let other = RedisPermits::with_ttl(&connect(&server).await, life);
    let guard = self::guard(&other, 2);
    let last: (String, u64) = server.run(&["ZRANGE", STREAMS, "-1", "-1", "WITHSCORES"]);
    let later = (last.1 + life.as_millis() as u64).to_string();
    until_async("both are renewed", async || {
        server.run::<usize>(&["ZCOUNT", STREAMS, &later, "+inf"]) == 2
    })
    .await;
    assert_eq!(ask(&guard).await.unwrap_err(), "CONCURRENCY_LIMIT");
    drop((kept, second));
    until_async("all given back", async || in_use(&server) == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_requests_are_served_in_order_across_replicas() {
    let server = Server::start();
    let one = RedisPermits::new(&connect(&server).await);
    let other = RedisPermits::new(&connect(&server).await);
    let held = ask(&guard(&one, 1)).await.unwrap();
    let patient = guard(&other, 1).queue(Duration::from_secs(10), 3);
    let (served, mut order) = tokio::sync::mpsc::unbounded_channel();
    for index in 0..3 {
        let (patient, served) = (patient.clone(), served.clone());
        tokio::spawn(async move {
            let permit = ask(&patient).await.unwrap();
            served.send(index).unwrap();
            drop(permit);
        });
        until_async("in the queue", async || other.stats().waiting == index + 1).await;
    }
    assert_eq!(ask(&patient).await.unwrap_err(), "CONCURRENCY_LIMIT");
    drop(held);
    for index in 0..3 {
        assert_eq!(order.recv().await, Some(index));
    }
    until_async("the queue is empty", async || other.stats().waiting == 0).await;

    let held = ask(&guard(&one, 1).queue(Duration::from_secs(10), 1))
        .await
        .unwrap();
    let impatient = guard(&other, 1).queue(Duration::from_millis(80), 3);
    assert_eq!(ask(&impatient).await.unwrap_err(), "CONCURRENCY_LIMIT");
    assert_eq!(other.stats().waiting, 0);
    drop(held);
}

// R13
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_no_permits_are_granted_and_lost_ones_are_restored() {
    let mut server = Server::start();
    let redis = connect(&server).await;
    let store = RedisPermits::with_ttl(&redis, Duration::from_millis(600));
    let guard = guard(&store, 1);
    let held = ask(&guard).await.unwrap();
    server.kill();
    assert_eq!(ask(&guard).await.unwrap_err(), "LIMITS_UNAVAILABLE");
    server.restart();
    redis.connected().await;
    until_async("put back", async || in_use(&server) == 1).await;
    assert_eq!(ask(&guard).await.unwrap_err(), "CONCURRENCY_LIMIT");
    drop(held);
    until_async("given back", async || in_use(&server) == 0).await;
}

// R13
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_permits_are_granted_while_redis_hangs() {
    let server = Server::start();
    // Nothing expires in this test.
    let hour = Duration::from_secs(3_600);
    let store = RedisPermits::with_ttl(&connect(&server).await, hour);
    let guard = guard(&store, 2);
    let held = ask(&guard).await.unwrap();
    server.hold();
    for _ in 0..3 {
        assert_eq!(ask(&guard).await.unwrap_err(), "LIMITS_UNAVAILABLE");
    }
    server.go_on();
    // What Redis granted late, without a client that waits, is given back.
    let mut second = None;
    until_async("a permit is granted", async || {
        second = ask(&guard).await.ok();
        second.is_some()
    })
    .await;
    assert_eq!(ask(&guard).await.unwrap_err(), "CONCURRENCY_LIMIT");
    drop((held, second));
    until_async("all given back", async || in_use(&server) == 0).await;
    assert_eq!(store.stats().lost, 0);
}
