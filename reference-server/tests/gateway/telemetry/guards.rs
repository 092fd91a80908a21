//! The spans of guards.

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use serde_json::json;
use stockade_testkit::scripted_upstream::ScriptedUpstream;

use super::{Collector, object};
use crate::gateway::chat;

/// The spans of guards, which are children of the only request.
async fn guards(lines: &str, is_anonymous: bool) -> Vec<Span> {
    let (upstream, collector) = (ScriptedUpstream::http1().await, Collector::start().await);
    let gateway = collector.gateway(&upstream, lines).await;
    let request = match is_anonymous {
        true => gateway.anonymous("/v1/chat/completions", &chat(json!({}))),
        false => gateway.post("/v1/chat/completions", &chat(json!({}))),
    };
    let status = request.send().await.unwrap().status();
    assert_eq!(status, if is_anonymous { 401 } else { 200 });
    gateway.stop().await;
    let guards = collector.of_kind(SpanKind::Internal);
    for guard in &guards {
        let request = collector.span();
        assert_eq!(guard.parent_span_id, request.span_id);
        assert!(guard.start_time_unix_nano >= request.start_time_unix_nano);
        assert!(guard.end_time_unix_nano >= guard.start_time_unix_nano);
        assert!(guard.end_time_unix_nano <= request.end_time_unix_nano);
    }
    guards
}

#[tokio::test]
async fn each_guard_of_the_fence_has_a_span() {
    let guards = guards("guard_spans = true", false).await;
    let names: Vec<_> = guards.iter().map(|guard| &*guard.name).collect();
    for name in ["guard host", "guard auth", "guard scope", "guard body"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for guard in &guards {
        let expected = json!({"stockade.guard.outcome": "allowed"});
        assert_eq!(object(&guard.attributes), expected, "{}", guard.name);
    }
}

#[tokio::test]
async fn the_last_guard_of_a_refused_request_has_its_code() {
    let guards = guards("guard_spans = true", true).await;
    let (last, others) = guards.split_last().unwrap();
    assert_eq!(last.name, "guard scope");
    assert_eq!(
        object(&last.attributes),
        json!({
            "stockade.guard.outcome": "refused",
            "stockade.refusal.code": "AUTHENTICATION_FAILED",
        })
    );
    for guard in others {
        assert_eq!(
            object(&guard.attributes)["stockade.guard.outcome"],
            "allowed"
        );
    }
}

#[tokio::test]
async fn guards_have_no_spans_by_default_nor_if_the_request_is_not_sampled() {
    for lines in ["", "guard_spans = true\nsample_ratio = 0"] {
        assert_eq!(guards(lines, false).await, [], "{lines}");
    }
}
