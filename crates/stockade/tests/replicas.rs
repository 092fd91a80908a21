//! Tests two fences that share a Redis server.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    convert::Infallible,
    fs,
    process::{Child, Command, Stdio},
};

use http::{Request, Response};
use http_body_util::Empty;
use metrics_exporter_prometheus::PrometheusBuilder;
use stockade::{Config, Environment, Fence, Format};
use stockade_core::client::PeerAddr;
use stockade_key_auth::{GeneratedKey, KeyRecord, to_yaml};
use stockade_testkit::{poll::until_async, port};
use tempfile::TempDir;
use tower::{Layer, ServiceExt, service_fn};

struct Redis {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl Redis {
    fn start() -> Self {
        let port = port::free();
        let folder = tempfile::tempdir().unwrap();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--requirepass", "of-the-test"])
            .args(["--save", "", "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed: apt-get install redis-server");
        Self {
            process,
            port,
            folder,
        }
    }

    fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Replica {
    fence: Fence,
    key: String,
}

impl Replica {
    async fn new(redis: &Redis, key: &GeneratedKey, settings: &str) -> Self {
        let record = KeyRecord::new(key.id().clone(), key.digest());
        let keys = format!("keys:\n{}", to_yaml(&record));
        fs::write(redis.folder.path().join("keys.yaml"), keys).unwrap();
        let text = format!(
            "[auth]\nkeys_file = \"keys.yaml\"\n\
             [[routes]]\npath = \"/\"\nmethods = \"GET\"\naccess = \"authenticated\"\n\
             [store]\nredis = \"redis://:of-the-test@127.0.0.1:{}\"\n{settings}",
            redis.port
        );
        let mut config = Config::parse(&text, Format::Toml, &Environment::default()).unwrap();
        config.resolve_paths(redis.folder.path());
        let fence = Fence::from_config(&config).await.unwrap();
        Self {
            fence,
            key: format!("Bearer {}", key.expose()),
        }
    }

    async fn ask(&self, authorization: &str) -> u16 {
        let peer = PeerAddr::Ip("203.0.113.7".parse().unwrap());
        let request = Request::get("/")
            .header("authorization", authorization)
            .extension(peer)
            .body(Empty::<bytes::Bytes>::new())
            .unwrap();
        let handler = service_fn(|_| async {
            Ok::<_, Infallible>(Response::new(Empty::<bytes::Bytes>::new()))
        });
        let answer = self.fence.layer().layer(handler).oneshot(request).await;
        answer.unwrap().status().as_u16()
    }

    /// Waits until the store is reported as available or unavailable.
    async fn until(&self, up: bool) {
        until_async("the health of the store", async || {
            self.ask(&self.key).await;
            self.fence.store_health().unwrap().up == up
        })
        .await;
    }
}

fn key() -> GeneratedKey {
    GeneratedKey::new("sk", "team".parse().unwrap()).unwrap()
}

// R15
#[tokio::test]
async fn two_replicas_share_limits_and_bans() {
    let (redis, key) = (Redis::start(), key());
    let settings = "on_failure = \"deny\"\n[rate_limit]\nby_key = \"100/day\"\n[abuse]\nban_valid_keys = true\n";
    let one = Replica::new(&redis, &key, settings).await;
    let two = Replica::new(&redis, &key, settings).await;
    one.until(true).await;
    two.until(true).await;
    let mut passed = 0;
    for _ in 0..100 {
        for replica in [&one, &two] {
            passed += u32::from(replica.ask(&replica.key).await == 200);
        }
    }
    // The replicas admitted some while the store was connecting.
    assert!(passed <= 100, "{passed}");
    assert_eq!(one.ask(&one.key).await, 429);
    assert_eq!(two.ask(&two.key).await, 429);

    for number in 0..5 {
        assert_eq!(one.ask(&format!("Bearer wrong-{number}")).await, 401);
    }
    until_async("the ban is known", async || two.ask(&two.key).await == 403).await;
}

// R13
#[tokio::test]
async fn an_outage_applies_the_failure_policy_and_is_reported() {
    for (policy, status) in [("deny", 503), ("allow", 200), ("local", 200)] {
        let (mut redis, key) = (Redis::start(), key());
        let settings = format!(
            "on_failure = \"{policy}\"\n[rate_limit]\nby_key = \"100000/day\"\n\
             [concurrency]\nper_key = 4\n"
        );
        let replica = Replica::new(&redis, &key, &settings).await;
        replica.until(true).await;
        assert_eq!(replica.ask(&replica.key).await, 200, "{policy}");
        redis.stop();
        replica.until(false).await;
        assert_eq!(replica.ask(&replica.key).await, status, "{policy}");
        let health = replica.fence.store_health().unwrap();
        assert!(
            health.failures > 0 && health.refuses == (policy == "deny"),
            "{health:?}"
        );
        // No debits were deferred; a permit that was being released may be lost.
        assert_eq!(health.lost_debits, 0, "{health:?}");
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || replica.fence.record_gauges());
        let metrics = recorder.handle().render();
        for lost in ["debits", "permits"] {
            let series = format!("\nstockade_store_lost_{lost}_total ");
            assert!(metrics.contains(&series), "{series} is not in {metrics}");
        }
    }
}

// FC02: the limit by key does not count requests without a principal; this is not a failure.
#[tokio::test]
async fn anonymous_requests_are_not_store_failures() {
    let redis = Redis::start();
    let key = GeneratedKey::new("sk", "team".parse().unwrap()).unwrap();
    let settings = "on_failure = \"deny\"\n[rate_limit]\nby_ip = \"600/minute\"\n\
                    by_key = \"600/minute\"\n[concurrency]\nper_key = 3\n";
    let replica = Replica::new(&redis, &key, settings).await;
    replica.until(true).await;
    let before = replica.fence.store_health().unwrap();
    for _ in 0..5 {
        assert_eq!(replica.ask("Basic none").await, 401);
        assert_eq!(replica.ask(&replica.key).await, 200);
    }
    assert_eq!(replica.fence.store_health().unwrap(), before);
}
