//! Exemplars, which link the histogram of durations to traces.

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::json;
use stockade_testkit::{poll::until_async, scripted_upstream::ScriptedUpstream};

use super::{Collector, hex};
use crate::gateway::Gateway;

/// What Prometheus sends.
const PROMETHEUS: &str =
    "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// The format and the text of a scrape.
async fn scrape(gateway: &Gateway, accept: &str) -> (String, String) {
    let request = gateway.scrape().header(ACCEPT, accept);
    let response = request.send().await.unwrap();
    let format = response.headers()[CONTENT_TYPE].to_str().unwrap();
    (format.to_owned(), response.text().await.unwrap())
}

/// The bucket of chats that has an exemplar.
fn exemplar(text: &str) -> Option<(&str, &str)> {
    let buckets = "stockade_request_duration_seconds_bucket{route=\"/v1/chat/completions\"";
    let lines = text.lines().filter(|line| line.starts_with(buckets));
    let mut exemplars = lines.filter_map(|line| line.split_once(" # "));
    let found = exemplars.next();
    assert!(exemplars.next().is_none(), "{text}");
    found
}

#[tokio::test]
async fn a_scrape_in_open_metrics_links_a_duration_to_its_trace() {
    let (upstream, collector) = (ScriptedUpstream::http1().await, Collector::start().await);
    let gateway = collector.gateway(&upstream, "").await;
    assert_eq!(gateway.chat(json!({})).await.status(), 200);
    // The span ends after the response.
    until_async("the exemplar is there", async || {
        exemplar(&scrape(&gateway, PROMETHEUS).await.1).is_some()
    })
    .await;
    let (format, text) = scrape(&gateway, PROMETHEUS).await;
    let (plain_format, plain) = scrape(&gateway, "*/*").await;
    gateway.stop().await;

    assert_eq!(
        format,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(text.ends_with("\n# EOF\n") && !text.contains("\n\n"));
    let spans = collector.spans();
    let span = spans
        .iter()
        .find(|span| span.name == "POST /v1/chat/completions");
    let span = span.expect("the chat has a span");
    let (trace, id) = (hex(&span.trace_id), hex(&span.span_id));
    let (bucket, exemplar) = exemplar(&text).unwrap();
    let (labels, value) = exemplar.split_once("} ").unwrap();
    assert_eq!(labels, format!("{{trace_id=\"{trace}\",span_id=\"{id}\""));
    // Within the bucket.
    let seconds: f64 = value.split(' ').next().unwrap().parse().unwrap();
    let bound = bucket.split("le=\"").nth(1).unwrap().split('"').next();
    assert!(
        seconds <= bound.unwrap().parse::<f64>().unwrap(),
        "{bucket}"
    );

    assert_eq!(plain_format, "text/plain; version=0.0.4; charset=utf-8");
    assert!(!plain.contains(&trace) && !plain.contains("# EOF"));
}

#[tokio::test]
async fn a_trace_that_is_not_exported_is_no_exemplar() {
    let (upstream, collector) = (ScriptedUpstream::http1().await, Collector::start().await);
    let gateway = collector.gateway(&upstream, "sample_ratio = 0.0").await;
    assert_eq!(gateway.chat(json!({})).await.status(), 200);
    gateway.record().await;
    let (format, text) = scrape(&gateway, PROMETHEUS).await;
    assert!(format.starts_with("application/openmetrics-text"));
    assert_eq!(exemplar(&text), None);
    gateway.stop().await;
    assert!(collector.spans().is_empty());
}

#[tokio::test]
async fn without_telemetry_a_scrape_has_the_text_format() {
    let upstream = ScriptedUpstream::http1().await;
    let gateway = Gateway::new(&upstream, "").await;
    let (format, text) = scrape(&gateway, PROMETHEUS).await;
    assert_eq!(format, "text/plain; version=0.0.4; charset=utf-8");
    assert!(text.contains("# TYPE stockade_connections gauge"));
}
