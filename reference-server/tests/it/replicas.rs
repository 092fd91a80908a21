//! Limits in Redis, and the health status while it is down.

use std::process::{Child, Command, Stdio};

use reqwest::Method;
use serde_json::Value;
use stockade_testkit::{poll::until_async, port};

use crate::test_server::{METRICS_KEY, TestServer};

struct Redis(Child, u16);

impl Redis {
    fn start() -> Self {
        let port = port::free();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", ""])
            .stdout(Stdio::null())
            .spawn();
        Self(
            process.expect("redis-server is installed: apt-get install redis-server"),
            port,
        )
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
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
            redis.1
        ))
        .await;
        assert_eq!(wait_until(&server, "shared").await, 200, "{policy}");
        assert_eq!(server.get("/v1/models").await.status(), 200, "{policy}");
        drop(redis);
        assert_eq!(wait_until(&server, "store_down").await, ready, "{policy}");
        assert_eq!(server.get("/v1/models").await.status(), chats, "{policy}");
    }
}
