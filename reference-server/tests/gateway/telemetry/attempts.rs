//! The spans of attempts at upstreams.

use serde_json::{Value, json};
use stockade_testkit::{
    port,
    scripted_upstream::{Answer, Chat, ScriptedUpstream, Step},
};

use super::{Collector, object, only, traceparent};
use crate::gateway::{Gateway, chat, text};

/// The `traceparent` of each request that the upstream has received.
fn parents(upstream: &ScriptedUpstream) -> Vec<String> {
    let requests = upstream.requests();
    let parents = requests
        .iter()
        .map(|request| &request.headers["traceparent"]);
    parents
        .map(|parent| parent.to_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn an_attempt_is_a_child_of_the_request_and_the_parent_of_the_upstream() {
    // Relayed, and translated.
    for path in ["/v1/chat/completions", "/v1/messages"] {
        let (upstream, collector) = (ScriptedUpstream::http1().await, Collector::start().await);
        upstream.always(Chat::new("Hi").stream());
        let gateway = collector.gateway(&upstream, "").await;
        let request = gateway.post(path, &chat(json!({"stream": true})));
        text(request.send().await.unwrap()).await;
        gateway.stop().await;

        let (span, attempt) = (collector.span(), only(collector.attempts()));
        assert_eq!(attempt.name, "POST");
        assert_eq!(attempt.trace_id, span.trace_id);
        assert_eq!(attempt.parent_span_id, span.span_id);
        assert!(attempt.end_time_unix_nano <= span.end_time_unix_nano);
        let address = upstream.address().unwrap();
        assert_eq!(
            object(&attempt.attributes),
            json!({
                "http.request.method": "POST",
                "http.response.status_code": 200,
                "server.address": "127.0.0.1",
                "server.port": address.port(),
            })
        );
        assert_eq!(attempt.status.clone().unwrap_or_default().code, 0);
        assert_eq!(parents(&upstream), [traceparent(&attempt)]);
    }
}

#[tokio::test]
async fn each_retry_has_a_span() {
    let (upstream, collector) = (ScriptedUpstream::http1().await, Collector::start().await);
    upstream.next(Answer::error(503));
    let gateway = collector.gateway(&upstream, "").await;
    assert_eq!(gateway.chat(json!({})).await.status(), 200);
    gateway.stop().await;

    let attempts = collector.attempts();
    let described = |name: &str| -> Vec<Value> {
        let attributes = attempts.iter().map(|span| object(&span.attributes));
        attributes
            .map(|attributes| attributes[name].clone())
            .collect()
    };
    assert_eq!(described("http.response.status_code"), [503, 200]);
    assert_eq!(described("error.type"), [json!("503"), Value::Null]);
    assert_eq!(
        described("http.request.resend_count"),
        [Value::Null, json!(1)]
    );
    let sent: Vec<_> = attempts.iter().map(traceparent).collect();
    assert_eq!(parents(&upstream), sent);
    assert_ne!(sent[0], sent[1]);
}

#[tokio::test]
async fn a_failed_attempt_has_its_error() {
    let collector = Collector::start().await;
    let cut = ScriptedUpstream::http1().await;
    let stream = Chat::pieces(["a", "b"]).stream();
    cut.always(stream.cut_after(1, Step::Close));
    let closed = format!("http://127.0.0.1:{}/v1", port::free());
    for (url, status) in [(&*closed, 502), (cut.url(), 200)] {
        let section = collector.section("");
        let gateway = Gateway::with(&format!(
            "[[models]]\nname = \"small\"\nupstream = [{{ url = \"{url}\" }}]\n\
             [upstreams]\nmax_retries = 0\nhealth_interval_secs = 0\n{section}"
        ))
        .await;
        let response = gateway.chat(json!({"stream": true})).await;
        assert_eq!(response.status(), status);
        text(response).await;
        gateway.stop().await;
    }
    let attempts = collector.attempts();
    let attributes: Vec<_> = attempts
        .iter()
        .map(|span| object(&span.attributes))
        .collect();
    assert_eq!(attributes[0]["error.type"], "connect");
    assert!(attributes[0].get("http.response.status_code").is_none());
    assert_eq!(attributes[1]["error.type"], "reset");
    assert_eq!(attributes[1]["http.response.status_code"], 200);
    for attempt in attempts {
        // ERROR.
        assert_eq!(attempt.status.unwrap().code, 2);
    }
}

#[tokio::test]
async fn attempts_of_requests_that_are_not_sampled_are_not_recorded() {
    let (upstream, collector) = (ScriptedUpstream::http1().await, Collector::start().await);
    let gateway = collector.gateway(&upstream, "sample_ratio = 0").await;
    assert_eq!(gateway.chat(json!({})).await.status(), 200);
    gateway.stop().await;
    let sent = parents(&upstream);
    assert!(sent[0].ends_with("-00"), "{sent:?}");
    assert!(collector.spans().is_empty());
}
