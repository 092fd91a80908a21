//! Traces and metrics, as an OpenTelemetry collector receives them.

mod attempts;
mod exemplars;
mod guards;
mod model_responses;

use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, KeyValue, any_value::Value as Any},
    metrics::v1::{HistogramDataPoint, metric::Data},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::Message;
use serde_json::{Map, Value, json};
use stockade_testkit::{
    poll::until_async,
    port,
    scripted_upstream::{Answer, Chat, ScriptedUpstream},
};

use crate::gateway::{Gateway, chat};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0b5902b7";

/// A collector that records what it receives.
struct Collector(ScriptedUpstream);

impl Collector {
    async fn start() -> Self {
        let collector = ScriptedUpstream::http1().await;
        collector.always(Answer::status(200));
        Self(collector)
    }

    /// A gateway that sends its telemetry here.
    async fn gateway(&self, upstream: &ScriptedUpstream, lines: &str) -> Gateway {
        Gateway::new(upstream, &self.section(lines)).await
    }

    /// The section that sends telemetry here.
    fn section(&self, lines: &str) -> String {
        let address = self.0.address().unwrap();
        format!("[telemetry]\notlp_endpoint = \"http://{address}\"\n{lines}\n")
    }

    fn received<T>(&self, path: &str) -> Vec<T>
    where
        T: Message + Default,
    {
        let requests = self.0.requests();
        let of_path = requests.iter().filter(|request| request.uri.path() == path);
        of_path
            .map(|request| T::decode(&request.body[..]).unwrap())
            .collect()
    }

    /// All spans.
    fn spans(&self) -> Vec<Span> {
        let exports: Vec<ExportTraceServiceRequest> = self.received("/v1/traces");
        let resources = exports.into_iter().flat_map(|export| export.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// The only span of a request.
    fn span(&self) -> Span {
        only(self.of_kind(SpanKind::Server))
    }

    /// The spans of attempts at upstreams, in their order.
    fn attempts(&self) -> Vec<Span> {
        self.of_kind(SpanKind::Client)
    }

    fn of_kind(&self, kind: SpanKind) -> Vec<Span> {
        let mut spans = self.spans();
        spans.retain(|span| span.kind == kind as i32);
        spans.sort_by_key(|span| span.start_time_unix_nano);
        spans
    }

    /// The data points of a histogram, with its unit.
    fn histogram(&self, name: &str) -> Vec<(HistogramDataPoint, String)> {
        let exports: Vec<ExportMetricsServiceRequest> = self.received("/v1/metrics");
        // The sums of earlier exports are in the last one.
        let resources = exports.into_iter().next_back().unwrap().resource_metrics;
        let scopes = resources
            .into_iter()
            .flat_map(|resource| resource.scope_metrics);
        let metrics = scopes.flat_map(|scope| scope.metrics);
        let named = metrics.filter(|metric| metric.name == name);
        named
            .flat_map(|metric| match metric.data {
                Some(Data::Histogram(histogram)) => histogram
                    .data_points
                    .into_iter()
                    .map(move |point| (point, metric.unit.clone())),
                other => panic!("{name}: {other:?}"),
            })
            .collect()
    }
}

/// The only one.
fn only(mut spans: Vec<Span>) -> Span {
    let span = spans.pop().expect("a span was exported");
    assert!(spans.is_empty(), "{spans:?}");
    span
}

/// Attributes as a JSON object.
fn object(attributes: &[KeyValue]) -> Value {
    let attributes = attributes.iter().map(|attribute| {
        let value = attribute.value.as_ref().unwrap();
        (attribute.key.clone(), json_value(value))
    });
    Value::Object(attributes.collect::<Map<_, _>>())
}

fn json_value(value: &AnyValue) -> Value {
    match value.value.as_ref().unwrap() {
        Any::StringValue(text) => json!(text),
        Any::BoolValue(value) => json!(value),
        Any::IntValue(number) => json!(number),
        Any::ArrayValue(array) => array.values.iter().map(json_value).collect(),
        other => panic!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The `traceparent` of which this span is the parent.
fn traceparent(span: &Span) -> String {
    format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id))
}

/// Sends a chat with the headers of a trace.
async fn traced_chat(gateway: &Gateway, flags: &str) -> u16 {
    let request = gateway
        .post("/v1/chat/completions?secret=1", &chat(json!({})))
        .header("traceparent", format!("00-{TRACE}-{PARENT}-{flags}"))
        .header("tracestate", "vendor=1")
        .header("baggage", "user=root");
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_chat_has_a_span_with_its_model_and_usage() {
    let (upstream, collector) = (ScriptedUpstream::http1().await, Collector::start().await);
    upstream.always(Chat::new("An answer").usage(7, 2).json());
    let gateway = collector.gateway(&upstream, "").await;
    assert_eq!(traced_chat(&gateway, "01").await, 200);
    let record = gateway.record().await;
    gateway.stop().await;

    let span = collector.span();
    assert_eq!(span.name, "POST /v1/chat/completions");
    let attributes = object(&span.attributes);
    assert_eq!(
        attributes,
        json!({
            "http.request.method": "POST",
            "http.route": "/v1/chat/completions",
            "http.response.status_code": 200,
            "url.path": "/v1/chat/completions",
            "url.scheme": "http",
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "stockade",
            "gen_ai.request.model": "small",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.response.id": "chatcmpl-scripted",
            "gen_ai.response.model": "scripted",
            "gen_ai.usage.input_tokens": 7,
            "gen_ai.usage.output_tokens": 2,
            "stockade.outcome": "completed",
            "stockade.principal.id": "client",
            "stockade.request.id": record["request_id"],
        })
    );
    assert_eq!(span.status.clone().unwrap_or_default().code, 0);
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano);

    let exports: Vec<ExportTraceServiceRequest> = collector.received("/v1/traces");
    let resource = exports[0].resource_spans[0].resource.clone().unwrap();
    assert_eq!(
        object(&resource.attributes)["service.name"],
        "stockade-server"
    );
    // Neither the prompt nor the completion, nor the key.
    for request in collector.0.requests() {
        let body = String::from_utf8_lossy(&request.body);
        for secret in ["Hello", "An answer", "client-key-of", "secret=1"] {
            assert!(!body.contains(secret), "{secret}: {body}");
        }
    }
    // The address of the client. That of the upstream is in the span of the attempt.
    assert!(!format!("{span:?}").contains("127.0.0.1"), "{span:?}");
}

#[tokio::test]
async fn a_client_chooses_no_trace_but_its_span_is_linked() {
    let (upstream, collector) = (ScriptedUpstream::http1().await, Collector::start().await);
    let gateway = collector.gateway(&upstream, "").await;
    // The client asks for no record of its request.
    assert_eq!(traced_chat(&gateway, "00").await, 200);
    gateway.stop().await;

    let span = collector.span();
    assert_ne!(hex(&span.trace_id), TRACE);
    assert!(span.parent_span_id.is_empty(), "{span:?}");
    let [link] = &span.links[..] else {
        panic!("{span:?}");
    };
    assert_eq!(
        (hex(&link.trace_id), hex(&link.span_id)),
        (TRACE.into(), PARENT.into())
    );

    let headers = &upstream.requests()[0].headers;
    let attempt = only(collector.attempts());
    assert_eq!(headers["traceparent"], traceparent(&attempt));
    for name in ["baggage", "tracestate"] {
        assert!(!headers.contains_key(name), "{headers:?}");
    }
}

#[tokio::test]
async fn incoming_traces_are_ignored_where_they_are_never_trusted() {
    let (upstream, collector) = (ScriptedUpstream::http1().await, Collector::start().await);
    let gateway = collector
        .gateway(&upstream, "trust_incoming = \"never\"")
        .await;
    assert_eq!(traced_chat(&gateway, "01").await, 200);
    gateway.stop().await;
    let span = collector.span();
    assert_ne!(hex(&span.trace_id), TRACE);
    assert!(span.links.is_empty() && span.parent_span_id.is_empty());
}

#[tokio::test]
async fn a_trusted_parent_decides_the_trace_and_the_sampling() {
    let (upstream, collector) = (ScriptedUpstream::http1().await, Collector::start().await);
    let lines = "trust_incoming = \"parent\"\nsample_ratio = 0";
    let gateway = collector.gateway(&upstream, lines).await;
    for flags in ["01", "00"] {
        assert_eq!(traced_chat(&gateway, flags).await, 200);
    }
    // Without a parent, the ratio decides.
    assert_eq!(gateway.chat(json!({})).await.status(), 200);
    gateway.stop().await;

    let span = collector.span();
    assert_eq!(hex(&span.trace_id), TRACE);
    assert_eq!(hex(&span.parent_span_id), PARENT);
    let requests = upstream.requests();
    let sent = |at: usize| requests[at].headers["traceparent"].to_str().unwrap();
    assert_eq!(sent(0), traceparent(&only(collector.attempts())));
    assert_eq!(requests[0].headers["tracestate"], "vendor=1");
    assert!(sent(1).starts_with(&format!("00-{TRACE}-")), "{}", sent(1));
    assert!(sent(1).ends_with("-00") && sent(2).ends_with("-00"));
    for request in requests {
        assert!(!request.headers.contains_key("baggage"));
    }
}

#[tokio::test]
async fn a_malformed_traceparent_is_ignored_and_counted() {
    let (upstream, collector) = (ScriptedUpstream::http1().await, Collector::start().await);
    let gateway = collector
        .gateway(&upstream, "trust_incoming = \"parent\"")
        .await;
    let request = gateway
        .post("/v1/chat/completions", &chat(json!({})))
        .header("traceparent", "00-x-y-01");
    assert_eq!(request.send().await.unwrap().status(), 200);
    let metrics = gateway.metrics().await;
    assert!(
        metrics.contains("\nstockade_invalid_traceparents_total 1\n"),
        "{metrics}"
    );
    gateway.stop().await;
    let spans = collector.of_kind(SpanKind::Server);
    let span = spans
        .iter()
        .find(|span| span.name == "POST /v1/chat/completions")
        .unwrap();
    assert!(span.links.is_empty() && span.parent_span_id.is_empty());
}

#[tokio::test]
async fn a_refusal_has_a_span_with_its_guard_and_code() {
    let (upstream, collector) = (ScriptedUpstream::http1().await, Collector::start().await);
    let gateway = collector.gateway(&upstream, "").await;
    let request = gateway.anonymous("/v1/chat/completions", &chat(json!({})));
    assert_eq!(request.send().await.unwrap().status(), 401);
    gateway.stop().await;

    let span = collector.span();
    let attributes = object(&span.attributes);
    assert_eq!(attributes["http.response.status_code"], 401);
    assert_eq!(attributes["stockade.refusal.code"], "AUTHENTICATION_FAILED");
    assert!(attributes["stockade.refusal.guard"].is_string());
    assert!(attributes.get("stockade.principal.id").is_none());
    // The client's fault is no error of the server.
    assert_eq!(span.status.unwrap_or_default().code, 0);
    assert!(attributes.get("error.type").is_none());
    assert!(
        collector
            .histogram("gen_ai.server.request.duration")
            .is_empty()
    );
    let (http, _) = &collector.histogram("http.server.request.duration")[0];
    assert_eq!(object(&http.attributes)["http.response.status_code"], 401);
}

#[tokio::test]
async fn a_failure_of_the_server_is_an_error() {
    let (upstream, collector) = (ScriptedUpstream::http1().await, Collector::start().await);
    upstream.always(Answer::json("{"));
    let gateway = collector.gateway(&upstream, "").await;
    assert_eq!(gateway.chat(json!({})).await.status(), 502);
    gateway.stop().await;

    let span = collector.span();
    let attributes = object(&span.attributes);
    assert_eq!(attributes["error.type"], "502");
    assert_eq!(attributes["stockade.refusal.guard"], "api");
    let status = span.status.unwrap();
    assert_eq!(status.code, StatusCode::Error as i32);
    let (point, _) = &collector.histogram("gen_ai.server.request.duration")[0];
    assert_eq!(object(&point.attributes)["error.type"], "502");
}

#[tokio::test]
async fn metrics_have_the_names_of_the_conventions() {
    let (upstream, collector) = (ScriptedUpstream::http1().await, Collector::start().await);
    let gateway = collector.gateway(&upstream, "").await;
    upstream.always(Chat::pieces(["a", "b", "c"]).usage(7, 3).stream());
    // The alias is the same series.
    for model in ["small", "smaller"] {
        let response = gateway.chat(json!({"stream": true, "model": model})).await;
        assert_eq!(response.status(), 200);
        assert!(response.text().await.unwrap().contains("[DONE]"));
    }
    gateway.stop().await;

    let model = json!({
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "stockade",
        "gen_ai.request.model": "small",
    });
    for name in [
        "request.duration",
        "time_to_first_token",
        "time_per_output_token",
    ] {
        let points = collector.histogram(&format!("gen_ai.server.{name}"));
        let [(point, unit)] = &points[..] else {
            panic!("{name}: {points:?}");
        };
        assert_eq!((point.count, &**unit), (2, "s"), "{name}");
        assert_eq!(object(&point.attributes), model, "{name}");
    }
    let tokens = collector.histogram("gen_ai.client.token.usage");
    let sums: Vec<_> = tokens
        .iter()
        .map(|(point, _)| {
            let kind = object(&point.attributes)["gen_ai.token.type"].clone();
            (kind.as_str().unwrap().to_owned(), point.sum)
        })
        .collect();
    assert_eq!(sums.len(), 2, "{sums:?}");
    assert!(sums.contains(&("input".into(), Some(14.0))), "{sums:?}");
    assert!(sums.contains(&("output".into(), Some(6.0))), "{sums:?}");
    let (http, unit) = &collector.histogram("http.server.request.duration")[0];
    assert_eq!((http.count, &**unit), (2, "s"));
    assert_eq!(
        object(&http.attributes)["http.route"],
        "/v1/chat/completions"
    );
}

#[tokio::test]
async fn the_collector_gets_the_headers_of_the_file_and_the_attributes() {
    let (upstream, collector) = (ScriptedUpstream::http1().await, Collector::start().await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("headers");
    std::fs::write(&file, "authorization: Bearer of-the-collector\n").unwrap();
    let lines = format!(
        "headers_file = {file:?}\nmetrics = false\nservice_name = \"gateway-1\"\n\
         resource_attributes = {{ \"deployment.environment.name\" = \"tests\" }}"
    );
    let gateway = collector.gateway(&upstream, &lines).await;
    assert_eq!(gateway.chat(json!({})).await.status(), 200);
    gateway.stop().await;
    for request in collector.0.requests() {
        assert_eq!(request.uri.path(), "/v1/traces");
        assert_eq!(request.headers["authorization"], "Bearer of-the-collector");
    }
    let exports: Vec<ExportTraceServiceRequest> = collector.received("/v1/traces");
    let resource = exports[0].resource_spans[0].resource.clone().unwrap();
    let attributes = object(&resource.attributes);
    assert_eq!(attributes["service.name"], "gateway-1");
    assert_eq!(attributes["deployment.environment.name"], "tests");
    let upstream = &upstream.requests()[0].headers;
    assert!(!format!("{upstream:?}").contains("of-the-collector"));
}

#[tokio::test]
async fn requests_are_answered_while_the_collector_is_down() {
    let upstream = ScriptedUpstream::http1().await;
    let endpoint = format!("http://127.0.0.1:{}", port::free());
    let lines = format!("[telemetry]\notlp_endpoint = \"{endpoint}\"\nmetrics = false\n");
    let gateway = Gateway::new(&upstream, &lines).await;
    assert_eq!(gateway.chat(json!({})).await.status(), 200);
    until_async("the failure is counted", async || {
        let metrics = gateway.metrics().await;
        let count = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name));
            line.is_some_and(|count| count.trim() != "0")
        };
        count("stockade_telemetry_export_failures_total{signal=\"traces\"}")
            && count("stockade_telemetry_dropped_spans_total{reason=\"export_failed\"}")
    })
    .await;
    assert_eq!(gateway.chat(json!({})).await.status(), 200);
}
