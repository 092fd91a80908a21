//! Reloads, by SIGHUP and by changed files.

use std::fs;

use serde_json::Value;
use stockade_testkit::poll::until_async;

use crate::{
    server_process::ServerProcess,
    test_server::{FULL_KEY, METRICS_KEY},
};

const RECORDS: &str =
    "[audit]\nfile = \"app.log\"\nsecurity_file = \"audit.log\"\non_overflow = \"drop\"\n";
const RELOADED: &str = "reloaded the configuration";
const REJECTED: &str = "was rejected";

fn with(lines: &str) -> String {
    format!("{RECORDS}{lines}")
}

/// The values of a field in the complete records of a file.
fn field(server: &ServerProcess, file: &str, name: &str) -> Vec<String> {
    let text = fs::read_to_string(server.file(file)).unwrap_or_default();
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .filter_map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            record[name].as_str().map(str::to_owned)
        })
        .collect()
}

// L04
#[tokio::test]
async fn reopens_renamed_logs() {
    let server = ServerProcess::start(RECORDS);
    let refused = server
        .get("/v1/models", "unknown-key")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 401);
    let routes = |file: &str| field(&server, file, "path").len();
    until_async("one record in each file", async || {
        routes("app.log") == 1 && routes("audit.log") == 1
    })
    .await;

    for name in ["app.log", "audit.log"] {
        fs::rename(server.file(name), server.file(&format!("{name}.1"))).unwrap();
    }
    server.signal("HUP");
    server.wait_for_log(RELOADED);
    // Reopened before the next record, so that the old files can be compressed at once.
    until_async("new files", async || {
        server.file("app.log").exists() && server.file("audit.log").exists()
    })
    .await;

    let answered = server.get("/v1/models", FULL_KEY).send().await.unwrap();
    assert_eq!(answered.status(), 200);
    until_async("the second record", async || routes("app.log") == 1).await;
    assert_eq!(field(&server, "app.log", "user"), ["full"]);
    assert_eq!(routes("audit.log"), 0);
    assert_eq!(field(&server, "audit.log", "event"), ["config_reloaded"]);
    for name in ["app.log.1", "audit.log.1"] {
        assert_eq!(routes(name), 1, "{name}");
        assert_eq!(field(&server, name, "event"), ["log_opened"], "{name}");
    }
    assert_eq!(server.stop(), Some(0));
}

// FA04
#[tokio::test]
async fn applies_a_changed_configuration_without_a_signal() {
    let lines = "[rate_limit]\nby_key = \"1000/minute\"\n";
    let server = ServerProcess::start(&with(lines));
    let policy = async || {
        let answer = server.get("/v1/models", FULL_KEY).send().await.unwrap();
        let policy = answer.headers()["ratelimit-policy"].to_str().unwrap();
        policy.to_owned()
    };
    assert_eq!(policy().await, "\"key\";q=1000;w=60");

    server.configure(&with(&lines.replace("1000/minute", "plenty")));
    assert!(server.wait_for_log("reload failed")["source"].is_string());
    assert_eq!(policy().await, "\"key\";q=1000;w=60", "the last good one");
    until_async("one event", async || {
        let events = field(&server, "audit.log", "event");
        events
            .iter()
            .filter(|event| *event == "config_rejected")
            .count()
            == 1
    })
    .await;

    server.configure(&with(&lines.replace("1000", "777")));
    let is_new = async || policy().await == "\"key\";q=777;w=60";
    until_async("the new quota is in force", is_new).await;
}

// A22
#[tokio::test]
async fn keeps_the_old_configuration_if_the_new_one_is_invalid() {
    let before =
        "[rate_limit]\nby_key = \"1000/minute\"\n[cors]\nallow_origins = [\"https://a.example\"]\n";
    let server = ServerProcess::start(&with(before));
    // The quota policy and the CORS header for this origin.
    let seen = async |origin: &str| {
        let request = server.get("/v1/models", FULL_KEY).header("origin", origin);
        let response = request.send().await.unwrap();
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        (
            header("ratelimit-policy"),
            header("access-control-allow-origin"),
        )
    };
    let old = (
        Some("\"key\";q=1000;w=60".to_owned()),
        Some("https://a.example".to_owned()),
    );
    assert_eq!(seen("https://a.example").await, old);

    for (lines, why) in [
        (before.replace("1000/minute", "plenty"), "60/minute"),
        (
            before.replace("https://a.example", "a.example"),
            "allow_origins",
        ),
        (before.replace("by_key", "by_kee"), "did you mean `by_key`"),
        // The whole file is rejected, including its valid changes.
        (
            before.replace("1000", "7") + "[token_budget]\nby_key = \"10/day\"\n",
            "restart",
        ),
    ] {
        server.configure(&with(&lines));
        server.signal("HUP");
        let said = server.wait_for_log(REJECTED);
        assert!(said["error"].as_str().unwrap().contains(why), "{said}");
        assert_eq!(seen("https://a.example").await, old, "{lines}");
    }
    fs::remove_file(server.file("stockade.toml")).unwrap();
    server.signal("HUP");
    assert!(server.wait_for_log(REJECTED)["error"].is_string());
    assert_eq!(seen("https://a.example").await, old);

    let after = "[rate_limit]\nby_key = \"7/minute\"\n[cors]\nallow_origins = [\"https://b.example\"]\n[abuse]\nthreshold = 1\nban_loopback = true\n";
    server.configure(&with(after));
    server.signal("HUP");
    server.wait_for_log(RELOADED);
    let new = (
        Some("\"key\";q=7;w=60".to_owned()),
        Some("https://b.example".to_owned()),
    );
    assert_eq!(seen("https://b.example").await, new);
    assert_eq!(seen("https://a.example").await.1, None);
    for status in [401, 403] {
        let guess = server.get("/v1/models", "a-guess").send().await.unwrap();
        assert_eq!(guess.status(), status);
    }

    let metrics = server.get("/metrics", METRICS_KEY).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    // The file is also watched, so a reload may have preceded the signal.
    for (line, least) in [
        ("stockade_reloads_total{result=\"rejected\"} ", 5),
        ("stockade_reloads_total{result=\"taken\"} ", 1),
    ] {
        let count = metrics.lines().find_map(|text| text.strip_prefix(line));
        let count: u64 = count
            .unwrap_or_else(|| panic!("{metrics}"))
            .parse()
            .unwrap();
        assert!(count >= least, "{line}{count}");
    }
    until_async("six events", async || {
        let events = field(&server, "audit.log", "event");
        let of = |name: &str| events.iter().filter(|event| *event == name).count();
        of("config_rejected") >= 5 && of("config_reloaded") >= 1
    })
    .await;
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test]
async fn names_the_settings_that_need_a_restart() {
    let server = ServerProcess::start(&with("[rate_limit]\nby_key = \"1000/minute\"\n"));
    let pending = async || {
        let metrics = server.get("/metrics", METRICS_KEY).send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("stockade_pending_settings "));
        line.map(str::to_owned)
    };
    assert_eq!(pending().await.as_deref(), Some("0"));
    let changed = "[rate_limit]\nby_key = \"7/minute\"\n[upstreams]\nmax_retries = 1\n";
    server.configure(&with(changed));
    server.signal("HUP");
    let logged = server.wait_for_log("take effect at the next start");
    assert_eq!(logged["settings"], "upstreams.max_retries");
    assert_eq!(pending().await.as_deref(), Some("1"));
    let answer = server.get("/v1/models", FULL_KEY).send().await.unwrap();
    assert_eq!(answer.headers()["ratelimit-policy"], "\"key\";q=7;w=60");

    server.configure(&with("[rate_limit]\nby_key = \"8/minute\"\n"));
    let none = async || pending().await.as_deref() == Some("0");
    until_async("the change was undone", none).await;
}
