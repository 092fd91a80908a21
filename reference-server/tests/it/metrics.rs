//! The metrics in Prometheus' format.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::json;

use crate::test_server::{METRICS_KEY, TestServer};

async fn metrics() -> String {
    let server = TestServer::start_with(
        "[rate_limit]\nby_key = \"100/minute\"\n[concurrency]\ntotal = 8\n\
         [token_budget]\nby_key = \"100000/day\"\n",
    )
    .await;
    assert_eq!(server.chat_with(json!({})).await.status(), 200);
    let refused = server.request(reqwest::Method::GET, "/v1/models");
    assert_eq!(refused.send().await.unwrap().status(), 401);
    let request = server.request(reqwest::Method::GET, "/metrics");
    let answer = request.bearer_auth(METRICS_KEY).send().await.unwrap();
    answer.text().await.unwrap()
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
