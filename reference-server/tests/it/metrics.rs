//! The metrics in Prometheus' format.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    server_process::ServerProcess,
    test_server::{FULL_KEY, METRICS_KEY, TestServer},
    wire::read_to_end,
};

async fn metrics() -> String {
    let server = TestServer::start_with(
        "[rate_limit]\nby_key = \"100/minute\"\n[concurrency]\ntotal = 8\n\
         [token_budget]\nby_key = \"100000/day\"\n[metrics]\ncompatibility = [\"cortex\"]\n",
    )
    .await;
    assert_eq!(server.chat_with(json!({})).await.status(), 200);
    let refused = server.request(reqwest::Method::GET, "/v1/models");
    assert_eq!(refused.send().await.unwrap().status(), 401);
    let request = server.request(reqwest::Method::GET, "/metrics");
    let answer = request.bearer_auth(METRICS_KEY).send().await.unwrap();
    answer.text().await.unwrap()
}

#[tokio::test]
async fn a_listener_of_its_own_needs_no_key_and_serves_nothing_else() {
    let server = ServerProcess::start("[metrics]\nlisten = \"127.0.0.1:0\"\n");
    let metrics = server.unlimited_metrics().await;
    assert!(
        metrics.contains("\nstockade_metrics_connections "),
        "{metrics}"
    );
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let status = async |url: &str, host: &str| {
        let request = client.get(url).header("host", host);
        request.send().await.unwrap().status()
    };
    let url = server.metrics_url();
    for (host, expected) in [
        ("localhost:9464", 200),
        ("[::1]", 200),
        // A web page whose domain was pointed at this machine.
        ("evil.example:9464", 400),
    ] {
        assert_eq!(status(&url, host).await, expected, "{host}");
    }
    for path in ["/v1/models", "/health", "/health/details"] {
        let url = url.replace("/metrics", path);
        assert_eq!(status(&url, "localhost").await, 404, "{path}");
    }
    assert_eq!(client.post(&url).send().await.unwrap().status(), 405);
    // The server itself still requires a key.
    let without_key = format!("http://{}/metrics", server.address);
    assert_eq!(status(&without_key, "localhost").await, 401);
}

#[tokio::test]
async fn the_log_of_the_start_warns_of_metrics_for_other_machines() {
    let server = ServerProcess::start("[metrics]\nlisten = \"0.0.0.0:0\"\n");
    let warning = server.startup_log("other machines read the metrics without a key");
    let message = warning["message"].as_str().unwrap();
    assert!(message.contains("stockade.toml:"), "{message}");
    assert!(message.contains("metrics.listen"), "{message}");
    assert!(warning["remedy"].as_str().unwrap().contains("127.0.0.1"));
}

// FH11
#[tokio::test]
async fn passes_promtool() {
    let metrics = metrics().await;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed: apt-get install prometheus");
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(metrics.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.trim().is_empty(),
        "{said}\n{metrics}"
    );
    let cortex = [
        "gateway_requests_total{status=\"200\",route=\"/v1/chat/completions\"}",
        "gateway_request_latency_seconds_bucket{",
        "gateway_key_auth_allowed_total{reason=\"credential\"}",
    ];
    for series in cortex {
        assert!(metrics.contains(series), "{series}: {metrics}");
    }
}

/// The Rust files in a directory, without tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !["tests", "target", "benches"].contains(&name) {
            sources(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
}

/// The names of metrics passed to these macros.
fn names(text: &str, macros: &[&str]) -> BTreeSet<String> {
    let calls = macros.iter().flat_map(|name| text.split(name).skip(1));
    let names = calls.filter_map(|rest| {
        let name = rest.trim_start().strip_prefix('"')?.split('"').next()?;
        name.starts_with("stockade_").then(|| name.to_owned())
    });
    names.collect()
}

// FH11
#[test]
fn every_metric_has_a_help_text() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for folder in ["crates", "reference-server/src"] {
        sources(&root.join(folder), &mut files);
    }
    let text: String = files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let text = text.replace("describe_", "DESCRIBE_");
    let used = names(
        &text,
        &["counter!(", "gauge!(", "histogram!(", "gauge(", "count("],
    );
    // The names above, in upper case, are not among these.
    let described = names(
        &text
            .replace("DESCRIBE_counter!(", "D(")
            .replace("DESCRIBE_gauge!(", "D(")
            .replace("DESCRIBE_histogram!(", "D("),
        &["D("],
    );
    assert!(used.len() > 15, "{used:?}");
    let missing: Vec<_> = used.difference(&described).collect();
    assert!(missing.is_empty(), "no help text: {missing:?}");
}

/// The statuses of requests that are sent on one connection without waiting.
async fn pipeline(address: SocketAddr, requests: impl Iterator<Item = String>) -> Vec<u16> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut incoming, mut outgoing) = stream.split();
    let last = "GET /health/live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".to_owned();
    let requests: String = requests.chain([last]).collect();
    let writing = async { outgoing.write_all(requests.as_bytes()).await.unwrap() };
    let ((), received) = tokio::join!(writing, read_to_end(&mut incoming));
    let mut statuses = received.statuses();
    assert_eq!(statuses.pop(), Some(200));
    statuses
}

// What clients send does not add series.
#[tokio::test]
async fn clients_cannot_add_series() {
    const COUNT: usize = 10_000;

    // A process of its own: the series are those of a process.
    let server = ServerProcess::start("[abuse]\nenabled = false\n");
    let names = async || -> BTreeSet<String> {
        let answer = server.get("/metrics", METRICS_KEY).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let series = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let name = |line: &str| line.rsplit_once(' ').unwrap().0.to_owned();
        series.map(name).collect()
    };
    let models = |number: usize| {
        let body =
            format!(r#"{{"model":"m{number}","messages":[{{"role":"user","content":"a"}}]}}"#);
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {FULL_KEY}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let paths = |number: usize| {
        format!("GET /p{number} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {FULL_KEY}\r\n\r\n")
    };
    let keys = |number: usize| {
        let key = format!("sk_k{number}_{}", "a".repeat(43));
        format!("GET /v1/models HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n")
    };
    let send = async |count: usize| {
        let address = server.address;
        for (requests, status) in [
            (&models as &dyn Fn(usize) -> String, 404),
            (&paths, 404),
            (&keys, 401),
        ] {
            let statuses = pipeline(address, (0..count).map(requests)).await;
            assert_eq!(statuses, vec![status; count]);
        }
    };
    send(1).await;
    names().await;
    let before = names().await;
    send(COUNT).await;
    let after = names().await;
    let added: Vec<_> = after.difference(&before).collect();
    assert!(added.is_empty(), "{added:#?}");
}
