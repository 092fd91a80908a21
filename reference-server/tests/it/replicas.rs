//! Limits in Redis, and what the server does while it is down.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    process::{Child, Command, Stdio},
};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::Value;
use stockade_testkit::{
    poll::{until, until_async},
    port,
};

use crate::{
    server_process::{ServerProcess, signal},
    test_server::{METRICS_KEY, READER_KEY, TestServer},
};

/// A Redis on a port of its own, killed on drop.
struct Redis {
    port: u16,
    process: Option<Child>,
}

impl Redis {
    fn start() -> Self {
        let mut redis = Self::absent();
        redis.restart();
        redis
    }

    /// A port without a server.
    fn absent() -> Self {
        Self {
            port: port::free(),
            process: None,
        }
    }

    /// Starts it without data.
    fn restart(&mut self) {
        let process = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--save", ""])
            .stdout(Stdio::null())
            .spawn();
        let process = process.expect("redis-server is installed: apt-get install redis-server");
        self.process = Some(process);
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Also if it is stopped.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    fn signal(&self, name: &str) {
        signal(self.process.as_ref().unwrap(), name);
    }

    /// Runs a command that has the reply `OK`.
    fn run(&self, command: &str) {
        until(command, || {
            let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) else {
                return false;
            };
            stream
                .write_all(format!("{command}\r\n").as_bytes())
                .unwrap();
            let mut reply = [0; 5];
            stream.read_exact(&mut reply).unwrap();
            reply == *b"+OK\r\n"
        });
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn health(server: &TestServer) -> (u16, Value) {
    let request = server
        .request(Method::GET, "/health/details")
        .bearer_auth(METRICS_KEY);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn wait_until(server: &TestServer, limits: &str) -> u16 {
    let mut last = 0;
    until_async("the health status changes", async || {
        let (status, health) = health(server).await;
        last = status;
        // With `deny`, the fence itself refuses the request.
        let refused = health["error"]["code"] == "LIMITS_UNAVAILABLE";
        health["limits"] == limits || (refused && limits == "store_down")
    })
    .await;
    last
}

// R13
#[tokio::test]
async fn health_reports_an_outage_of_redis() {
    for (policy, ready, chats) in [("deny", 503, 503), ("local", 200, 200)] {
        let redis = Redis::start();
        let server = TestServer::start_with(&format!(
            "[rate_limit]\nby_key = \"1000/day\"\n[store]\nredis = \"redis://127.0.0.1:{}\"\n\
             on_failure = \"{policy}\"\n",
            redis.port
        ))
        .await;
        assert_eq!(wait_until(&server, "shared").await, 200, "{policy}");
        assert_eq!(server.get("/v1/models").await.status(), 200, "{policy}");
        drop(redis);
        assert_eq!(wait_until(&server, "store_down").await, ready, "{policy}");
        assert_eq!(server.get("/v1/models").await.status(), chats, "{policy}");
    }
}

/// A way in which Redis fails.
#[derive(Clone, Copy, Debug)]
enum Fault {
    AbsentAtStart,
    Hangs,
    /// It refuses to write.
    IsReplica,
    IsOutOfMemory,
    /// It loses its data.
    Restarts,
}

impl Fault {
    /// In this order: the first one is the state in which the server starts.
    const ALL: [Self; 5] = [
        Self::AbsentAtStart,
        Self::Hangs,
        Self::IsReplica,
        Self::IsOutOfMemory,
        Self::Restarts,
    ];

    fn begin(self, redis: &mut Redis) {
        match self {
            Self::AbsentAtStart => {}
            Self::Hangs => redis.signal("STOP"),
            Self::IsReplica => redis.run("REPLICAOF 127.0.0.1 1"),
            Self::IsOutOfMemory => redis.run("CONFIG SET maxmemory 1"),
            Self::Restarts => redis.kill(),
        }
    }

    fn end(self, redis: &mut Redis) {
        match self {
            Self::AbsentAtStart | Self::Restarts => redis.restart(),
            Self::Hangs => redis.signal("CONT"),
            Self::IsReplica => redis.run("REPLICAOF NO ONE"),
            Self::IsOutOfMemory => redis.run("CONFIG SET maxmemory 0"),
        }
    }
}

/// The status and code of a request.
async fn ask(server: &ServerProcess) -> (u16, Option<String>) {
    let answer = server.get("/v1/models", READER_KEY).send().await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (status, body["error"]["code"].as_str().map(str::to_owned))
}

/// Whether the metrics have this line. With `deny`, the server refuses them while Redis is down, but
/// not the listener of `[metrics]`.
async fn shows(server: &ServerProcess, line: &str) -> bool {
    let metrics = server.unlimited_metrics().await;
    metrics.lines().any(|one| one == line)
}

/// The events of the limits in the log, in order.
fn store_events(server: &ServerProcess) -> Vec<String> {
    let log = fs::read_to_string(server.file("security.log")).unwrap_or_default();
    let records = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let of_limits = records.filter(|record: &Value| record["subject"] == "limits");
    of_limits
        .map(|record| record["event"].as_str().unwrap().to_owned())
        .collect()
}

/// Starts a server with this policy, and asserts the outcome of each fault.
async fn goes_through_faults(policy: &str) {
    let mut redis = Redis::absent();
    let server = ServerProcess::start(&format!(
        "[rate_limit]\nby_key = \"100000/day\"\n[concurrency]\nper_key = 4\n\
         [store]\nredis = \"redis://127.0.0.1:{}\"\non_failure = \"{policy}\"\n\
         [audit]\nfile = \"app.log\"\nsecurity_file = \"security.log\"\n\
         [metrics]\nlisten = \"127.0.0.1:0\"\n",
        redis.port
    ));
    let without = match policy {
        "deny" => (503, Some("LIMITS_UNAVAILABLE".to_owned())),
        _ => (200, None),
    };
    for fault in Fault::ALL {
        let events = store_events(&server).len();
        fault.begin(&mut redis);
        until_async(&format!("{policy}: {fault:?}"), async || {
            ask(&server).await == without && shows(&server, "stockade_store_up 0").await
        })
        .await;
        for _ in 0..20 {
            assert_eq!(ask(&server).await, without, "{policy}: {fault:?}");
        }
        fault.end(&mut redis);
        // Without requests: a load balancer sends none to a server that is not ready.
        until_async(&format!("{policy}: {fault:?} is over"), async || {
            shows(&server, "stockade_store_up 1").await
        })
        .await;
        until_async(&format!("{policy}: served after {fault:?}"), async || {
            ask(&server).await == (200, None)
        })
        .await;
        until_async("the events", async || {
            let events = store_events(&server).split_off(events);
            let is = |event: Option<&String>, name| event.is_some_and(|event| event == name);
            is(events.first(), "store_lost") && is(events.last(), "store_back")
        })
        .await;
    }
    assert!(!shows(&server, "stockade_store_failures_total 0").await);
}

// R13
#[tokio::test]
async fn each_fault_of_redis_applies_the_policy_until_it_is_over() {
    join_all(["deny", "allow", "local"].map(goes_through_faults)).await;
}
