//! Health probes and their details.

use std::{fs, sync::Arc};

use reqwest::Method;
use serde_json::{Value, json};
use stockade_server::backend::Phase;
use stockade_testkit::poll::until_async;

use crate::{
    scripted_backend::{Script, ScriptedBackend},
    test_server::{FULL_KEY, METRICS_KEY, TestServer},
};

const WHY: &str = "/srv/models/secret-model has no config.json";

async fn ask(server: &TestServer, path: &str, key: Option<&str>) -> (u16, Value) {
    let request = server.request(Method::GET, path);
    let request = match key {
        Some(key) => request.bearer_auth(key),
        None => request,
    };
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap())
}

// FC05, FA16
#[tokio::test]
async fn public_probes_return_only_the_status() {
    for (phase, status, word) in [
        (Phase::Ready, 200, "ready"),
        (Phase::Loading(WHY.to_owned()), 503, "loading"),
        (Phase::Failed(WHY.to_owned()), 503, "failed"),
    ] {
        let server = TestServer::with(Arc::new(ScriptedBackend::in_phase(phase)), "").await;
        for key in [None, Some(FULL_KEY), Some(METRICS_KEY)] {
            assert_eq!(
                ask(&server, "/health/live", key).await,
                (200, json!({"status": "live"}))
            );
            let ready = ask(&server, "/health/ready", key).await;
            assert_eq!(ready, (status, json!({"status": word})));
        }
        for key in [None, Some(FULL_KEY), Some(METRICS_KEY)] {
            let health = ask(&server, "/health", key).await;
            assert_eq!(health, (status, json!({"status": word})));
        }
        assert_eq!(ask(&server, "/health/details", None).await.0, 401);
        assert_eq!(ask(&server, "/health/details", Some(FULL_KEY)).await.0, 403);
        let (was, health) = ask(&server, "/health/details", Some(METRICS_KEY)).await;
        assert_eq!((was, &health["status"]), (status, &json!(word)));
        let model = &health["models"][0];
        assert!(model["name"] == "tiny" && health["version"].is_string());
        let memory = json!({
            "needed": 70, "weights": 40, "kv_cache": 20, "images": 10, "available": null,
        });
        assert_eq!(model["memory"], memory);
        let bytes = match word {
            "loading" => json!({ "done": 3, "total": 9 }),
            _ => Value::Null,
        };
        assert_eq!(model["bytes"], bytes);
        let text = health.to_string();
        assert_eq!(text.contains(WHY), word != "ready", "{text}");
        assert!(health["sources"].is_array(), "{text}");
    }
}

// FA04
#[tokio::test]
async fn stale_keys_degrade_readiness_and_then_end_it() {
    let lines = "[server]\nstale_keys_timeout_secs = 1\n";
    let server = TestServer::with(Arc::new(ScriptedBackend::new(Script::Talk)), lines).await;
    let keys = fs::read_to_string(server.keys_file()).unwrap();
    let is = async |status: u16, word: &str| {
        ask(&server, "/health/ready", None).await == (status, json!({"status": word}))
    };
    assert!(is(200, "ready").await);
    fs::write(server.keys_file(), "keys: [").unwrap();
    until_async("degraded", async || is(200, "degraded").await).await;
    let (_, health) = ask(&server, "/health/details", Some(METRICS_KEY)).await;
    let source = health["sources"].as_array().unwrap().iter();
    let mut failing = source.filter(|source| source["failing"] == true);
    assert!(failing.next().unwrap()["error"].is_string(), "{health}");
    until_async("stale", async || is(503, "keys_stale").await).await;
    assert_eq!(
        server.get("/v1/models").await.status(),
        200,
        "the last good keys"
    );

    fs::write(server.keys_file(), keys).unwrap();
    until_async("ready again", async || is(200, "ready").await).await;
}

// FC05: cases/health-limited
#[tokio::test]
async fn probes_are_not_limited_with_other_requests_of_their_address() {
    let lines = "[rate_limit]\nby_ip = \"60/minute burst 5\"\nby_key = \"30/minute burst 3\"\n\
         [abuse]\nban_loopback = true\n";
    let server = TestServer::with(Arc::new(ScriptedBackend::new(Script::Talk)), lines).await;
    for _ in 0..10 {
        ask(&server, "/v1/models", Some("a-guess")).await;
    }
    assert_ne!(
        ask(&server, "/v1/models", None).await.0,
        401,
        "limited or banned"
    );
    for path in ["/health", "/health/live", "/health/ready"] {
        for _ in 0..10 {
            assert_eq!(ask(&server, path, None).await.0, 200, "{path}");
        }
    }
}
