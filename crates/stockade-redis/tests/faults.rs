//! R13: a real Redis that fails in all known ways. Each decision arrives in time and follows
//! the failure policy visibly, and Redis decides again once it is back.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{thread, time::Duration};

use stockade_rate_limit::{FailurePolicy, Fallback, Fraction, OwnedBucket, Quota};
use stockade_redis::{Namespace, Redis, RedisConfig, RedisLimits};
use stockade_testkit::poll::until_async;
use support::{Impostor, Proxy, Server, begin, connect, take};
use tokio::time::timeout;

const QUOTA: Quota = Quota::per_day(20);
/// The local share of one process, of 20.
const LOCAL: u32 = 10;

/// A fallback for each policy, on one connection.
struct Policies([Fallback<RedisLimits>; 3]);

impl Policies {
    fn new(redis: &Redis) -> Self {
        let fraction = Fraction::new(0.5).unwrap();
        let policies = [
            FailurePolicy::Deny,
            FailurePolicy::Allow,
            FailurePolicy::Local { fraction },
        ];
        let store = RedisLimits::new(redis);
        Self(policies.map(|policy| {
            Fallback::new(store.clone(), policy).circuit(5, Duration::from_millis(100))
        }))
    }

    /// Asserts that Redis decides again, first about probes and then about everything.
    async fn are_not_needed(&self) {
        for fallback in &self.0 {
            let probe = [OwnedBucket::new(
                "probe",
                "probe",
                Quota::per_second(1_000),
                1,
            )];
            until_async("Redis decides", async || {
                let before = fallback.health().fallback_decisions;
                let answer = take(fallback, &probe).await;
                let health = fallback.health();
                answer.is_ok() && health.up && health.fallback_decisions == before
            })
            .await;
        }
    }

    /// Asserts that Redis does not decide, and that each policy visibly does.
    async fn decide(&self, fault: &str) {
        const ASKED: u32 = 30;
        for fallback in &self.0 {
            let request = [OwnedBucket::new("limit", fault, QUOTA, 1)];
            let before = fallback.health();
            let mut passed = 0;
            for _ in 0..ASKED {
                // The deadline is 50 ms; the machine may be busy.
                let answer = timeout(Duration::from_secs(2), take(fallback, &request));
                let answer = answer.await.unwrap_or_else(|_| panic!("{fault}: hangs"));
                match fallback.policy() {
                    FailurePolicy::Deny => assert!(answer.is_err(), "{fault}: {answer:?}"),
                    FailurePolicy::Allow => assert!(answer.unwrap().statuses().is_empty()),
                    FailurePolicy::Local { .. } => {
                        passed += u32::from(answer.unwrap().is_allowed())
                    }
                    other => unreachable!("{other:?}"),
                }
            }
            if let FailurePolicy::Local { .. } = fallback.policy() {
                assert_eq!(passed, LOCAL, "{fault}");
            }
            let health = fallback.health();
            assert!(!health.up, "{fault}: {health:?}");
            let without = health.fallback_decisions - before.fallback_decisions;
            assert_eq!(without, u64::from(ASKED), "{fault}: {health:?}");
        }
    }
}

/// Counts how many requests Redis allows with a limit of 20.
async fn passed(redis: &Redis) -> u32 {
    let store = RedisLimits::new(redis);
    let request = [OwnedBucket::new("limit", "counted", QUOTA, 1)];
    let mut passed = 0;
    for _ in 0..30 {
        passed += u32::from(take(&store, &request).await.unwrap().is_allowed());
    }
    passed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn absent_at_start() {
    let mut server = Server::absent();
    let policies = Policies::new(&begin(&server.url()));
    policies.decide("absent").await;
    server.restart();
    policies.are_not_needed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_restarted_with_its_data_lost() {
    let mut server = Server::start();
    let redis = connect(&server).await;
    let policies = Policies::new(&redis);
    policies.are_not_needed().await;
    assert_eq!(passed(&redis).await, 20);
    server.kill();
    policies.decide("killed").await;
    server.restart();
    policies.are_not_needed().await;
    assert_eq!(passed(&redis).await, 20);
    assert_eq!(passed(&redis).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused_without_closing() {
    let server = Server::start();
    let policies = Policies::new(&connect(&server).await);
    policies.are_not_needed().await;
    server.hold();
    policies.decide("held").await;
    server.go_on();
    policies.are_not_needed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_by_half_a_second() {
    let server = Server::start();
    let proxy = Proxy::to(server.port()).await;
    let redis = begin(&server.url_at(proxy.port()));
    redis.connected().await;
    let policies = Policies::new(&redis);
    policies.are_not_needed().await;
    proxy.delay(Duration::from_millis(500));
    policies.decide("slow").await;
    proxy.delay(Duration::ZERO);
    policies.are_not_needed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_password() {
    let server = Server::start();
    let redis = begin(&server.url_with_password("battery-staple"));
    let policies = Policies::new(&redis);
    policies.decide("password").await;
    assert!(!redis.is_connected());
    server.run::<()>(&["CONFIG", "SET", "requirepass", "battery-staple"]);
    policies.are_not_needed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_at_its_port() {
    for (what, reply) in [
        ("silent", ""),
        ("HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n"),
        ("OK", "+OK\r\n"),
        ("a number", ":1\r\n"),
        ("an empty string", "$0\r\n\r\n"),
        ("an empty list", "*0\r\n"),
        ("a string of 8 GB", "$8589934592\r\n"),
    ] {
        let mut server = Server::absent();
        let impostor = Impostor::at(server.port(), reply).await;
        let policies = Policies::new(&begin(&server.url()));
        policies.decide(what).await;
        impostor.leave().await;
        server.restart();
        policies.are_not_needed().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn made_a_replica() {
    let (server, other) = (Server::start(), Server::start());
    let policies = Policies::new(&connect(&server).await);
    policies.are_not_needed().await;
    server.run::<()>(&["REPLICAOF", "127.0.0.1", &other.port().to_string()]);
    policies.decide("replica").await;
    server.run::<()>(&["REPLICAOF", "NO", "ONE"]);
    policies.are_not_needed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loading_its_data() {
    let server = Server::start_with(&["--enable-debug-command", "local"]);
    let policies = Policies::new(&connect(&server).await);
    policies.are_not_needed().await;
    server.run::<()>(&["DEBUG", "POPULATE", "20000"]);
    server.run::<()>(&[
        "CONFIG",
        "SET",
        "loading-process-events-interval-bytes",
        "1024",
    ]);
    server.run::<()>(&["CONFIG", "SET", "key-load-delay", "300"]);
    thread::scope(|scope| {
        let reload = scope.spawn(|| server.run::<()>(&["DEBUG", "RELOAD"]));
        tokio::task::block_in_place(|| {
            let runtime = tokio::runtime::Handle::current();
            runtime.block_on(async {
                until_async("it is loading", async || {
                    let info: String = server.run(&["INFO", "persistence"]);
                    info.contains("loading:1")
                })
                .await;
                policies.decide("loading").await;
                assert!(!reload.is_finished(), "it was not loading all the time");
            });
        });
        server.run::<()>(&["CONFIG", "SET", "key-load-delay", "0"]);
    });
    policies.are_not_needed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_flushed() {
    let server = Server::start();
    let redis = connect(&server).await;
    assert_eq!(passed(&redis).await, 20);
    server.run::<()>(&["SCRIPT", "FLUSH"]);
    assert_eq!(passed(&redis).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_flushed() {
    let server = Server::start();
    let redis = connect(&server).await;
    assert_eq!(passed(&redis).await, 20);
    server.run::<()>(&["FLUSHALL"]);
    assert_eq!(passed(&redis).await, 20);
    assert_eq!(passed(&redis).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_another_kind() {
    let server = Server::start();
    let redis = connect(&server).await;
    assert_eq!(passed(&redis).await, 20);
    let keys: Vec<String> = server.run(&["KEYS", "stockade:{default}:limit:*"]);
    let [key] = &keys[..] else { panic!("{keys:?}") };
    for wrong in [["RPUSH", key, "x"], ["SET", key, "nonsense"]] {
        server.run::<()>(&["DEL", key]);
        server.run::<()>(&wrong);
        assert_eq!(passed(&redis).await, 20, "{wrong:?}");
        assert_eq!(passed(&redis).await, 0, "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn out_of_memory() {
    let server = Server::start();
    let policies = Policies::new(&connect(&server).await);
    policies.are_not_needed().await;
    server.run::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    policies.decide("memory").await;
    server.run::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    policies.are_not_needed().await;
}

/// All 16,384 slots.
const ALL: [&str; 2] = ["0", "16383"];

async fn is_up(server: &Server) {
    until_async("the cluster is up", async || {
        let info: String = server.run(&["CLUSTER", "INFO"]);
        info.contains("cluster_state:ok")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_all_keys_in_one_slot() {
    let server = Server::start_with(&["--cluster-enabled", "yes"]);
    server.run::<()>(&["CLUSTER", "ADDSLOTSRANGE", ALL[0], ALL[1]]);
    is_up(&server).await;
    let store = RedisLimits::new(&connect(&server).await);
    let request = ["ip", "key", "model"].map(|name| OwnedBucket::new(name, "a", QUOTA, 1));
    let asked = (0..50).map(|_| take(&store, &request));
    let tasks: Vec<_> = asked.map(Box::pin).collect();
    let mut passed = 0;
    for task in tasks {
        passed += u32::from(task.await.unwrap().is_allowed());
    }
    assert_eq!(passed, 20);
}

/// Two servers of a cluster, the second one with only the slot of the namespace `chat`.
async fn slot_on_the_second() -> [Server; 2] {
    let nodes = [(); 2].map(|()| Server::start_with(&["--cluster-enabled", "yes"]));
    let slot: u32 = nodes[0].run(&["CLUSTER", "KEYSLOT", "stockade:{chat}:limit"]);
    let ours = slot.to_string();
    nodes[1].run::<()>(&["CLUSTER", "ADDSLOTS", &ours]);
    for (from, to) in [(0, slot - 1), (slot + 1, 16_383)] {
        let range = [from.to_string(), to.to_string()];
        nodes[0].run::<()>(&["CLUSTER", "ADDSLOTSRANGE", &range[0], &range[1]]);
    }
    nodes[1].run::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", "2"]);
    let port = nodes[1].port().to_string();
    nodes[0].run::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port]);
    is_up(&nodes[0]).await;
    is_up(&nodes[1]).await;
    nodes
}

/// A connection with the namespace `chat`.
fn connect_to_chat(server: &Server) -> Redis {
    let namespace: Namespace = "chat".parse().unwrap();
    let config = RedisConfig::new(&server.url())
        .unwrap()
        .namespace(namespace);
    Redis::connect(config).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follows_the_slot_to_another_server_of_the_cluster() {
    let nodes = slot_on_the_second().await;
    let redis = connect_to_chat(&nodes[0]);
    Policies::new(&redis).are_not_needed().await;
    assert_eq!(passed(&redis).await, 20);
    let keys: Vec<String> = nodes[1].run(&["KEYS", "stockade:{chat}:limit:limit/*"]);
    assert_eq!(keys.len(), 1);
}

#[tokio::test]
async fn the_first_call_reaches_the_server_with_the_slot() {
    let nodes = slot_on_the_second().await;
    let redis = connect_to_chat(&nodes[0]);
    redis.connected().await;
    let store = RedisLimits::new(&redis);
    let request = [OwnedBucket::new("ip", "a", QUOTA, 1)];
    assert!(take(&store, &request).await.unwrap().is_allowed());
}
