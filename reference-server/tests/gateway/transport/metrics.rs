//! What is counted.

use std::num::NonZeroU32;

use metrics_exporter_prometheus::PrometheusBuilder;
use stockade_server::upstream::{BreakerSettings, GroupSettings, UpstreamGroup};
use stockade_testkit::scripted_upstream::{Answer, Chat, ScriptedUpstream, Step};

use super::{MODEL, chat, exchange, settings};

#[tokio::test]
async fn counts_outcomes_retries_refusals_and_changes() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let upstream = ScriptedUpstream::http1().await;
    let settings = GroupSettings {
        max_retries: 1,
        breaker: BreakerSettings {
            consecutive_failures: NonZeroU32::new(3).unwrap(),
            ..BreakerSettings::default()
        },
        ..settings([upstream.url()])
    };
    let group = UpstreamGroup::new(MODEL, settings).unwrap();
    for answer in [
        Chat::new("a").stream(),
        Answer::error(404),
        Answer::error(503),
    ] {
        upstream.next(answer);
    }
    exchange(&group).await.unwrap();
    let label = format!("model=\"small\",upstream=\"{}\"", upstream.url());
    let has = |line: &str| {
        let line = line.replace("LABELS", &label);
        let text = handle.render();
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    };
    has("stockade_upstream_breaker_state{LABELS} 0");
    has("stockade_upstream_healthy{LABELS} 1");
    for _ in 0..2 {
        exchange(&group).await.unwrap();
    }
    upstream.next(Chat::new("a").stream().cut_after(1, Step::Stall));
    let open = group.send(chat()).await.unwrap();
    has("stockade_upstream_in_flight{LABELS} 1");
    drop(open);
    upstream.always(Answer::reset_before_head());
    for _ in 0..3 {
        exchange(&group).await.unwrap_err();
    }
    exchange(&group).await.unwrap_err();
    has("stockade_upstream_in_flight{LABELS} 0");
    has("stockade_upstream_requests_total{LABELS,outcome=\"ok\"} 2");
    has("stockade_upstream_requests_total{LABELS,outcome=\"client_error\"} 1");
    has("stockade_upstream_requests_total{LABELS,outcome=\"unavailable\"} 1");
    has("stockade_upstream_requests_total{LABELS,outcome=\"cancelled\"} 1");
    has("stockade_upstream_requests_total{LABELS,outcome=\"reset\"} 3");
    has("stockade_upstream_retries_total{LABELS,reason=\"unavailable\"} 1");
    has("stockade_upstream_refusals_total{model=\"small\",reason=\"unavailable\"} 1");
    has("stockade_upstream_breaker_changes_total{LABELS,to=\"open\"} 1");
    has("stockade_upstream_breaker_state{LABELS} 2");
    has("stockade_upstream_healthy{LABELS} 1");
    has("stockade_upstream_queue_wait_seconds_count{LABELS} 8");
    has("stockade_upstream_first_byte_seconds_count{LABELS} 5");
}
