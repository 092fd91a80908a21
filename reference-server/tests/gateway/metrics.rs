//! Upstreams in `/metrics`.

use serde_json::json;
use stockade_testkit::scripted_upstream::ScriptedUpstream;

use crate::gateway::Gateway;

#[tokio::test]
async fn shows_an_upstream_in_the_metrics_of_the_server() {
    let upstream = ScriptedUpstream::http1().await;
    let gateway = Gateway::new(&upstream, "").await;
    assert_eq!(gateway.chat(json!({})).await.status(), 200);
    let metrics = gateway.metrics().await;
    let label = format!("model=\"small\",upstream=\"{}\"", upstream.url());
    for line in [
        "requests_total{LABELS,outcome=\"ok\"} 1",
        "breaker_state{LABELS} 0",
        "healthy{LABELS} 1",
        "in_flight{LABELS} 0",
        "queue_wait_seconds_bucket{LABELS,le=\"300\"} 1",
        "first_byte_seconds_bucket{LABELS,le=\"300\"} 1",
    ] {
        let line = format!("stockade_upstream_{}", line.replace("LABELS", &label));
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}\n{metrics}"
        );
        let name = line
            .split(['{', ' '])
            .next()
            .unwrap()
            .trim_end_matches("_bucket");
        assert!(metrics.contains(&format!("# HELP {name} ")), "{name}");
    }
}
