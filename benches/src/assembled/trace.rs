//! The outermost layers: request id, one JSON line a request, timeout.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderName, Request, Response, StatusCode, header::AUTHORIZATION};
use tower::{
    ServiceBuilder,
    layer::util::{Identity, Stack},
};
use tower_http::{
    classify::{ServerErrorsAsFailures, SharedClassifier},
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    sensitive_headers::SetSensitiveRequestHeadersLayer,
    timeout::TimeoutLayer,
    trace::{MakeSpan, OnResponse, TraceLayer},
};
use tracing::{Span, field};

use super::state::client;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TIMEOUT: Duration = Duration::from_secs(60);

type AccessLog =
    TraceLayer<SharedClassifier<ServerErrorsAsFailures>, RequestSpan, (), Completed, (), (), ()>;
type Named =
    Stack<SetRequestIdLayer<MakeRequestUuid>, Stack<SetSensitiveRequestHeadersLayer, Identity>>;
type Outer = Stack<TimeoutLayer, Stack<PropagateRequestIdLayer, Stack<AccessLog, Named>>>;

/// The layers around all others.
pub(super) fn outer() -> ServiceBuilder<Outer> {
    let log = TraceLayer::new_for_http()
        .make_span_with(RequestSpan)
        .on_request(())
        .on_response(Completed)
        .on_body_chunk(())
        .on_eos(())
        .on_failure(());
    ServiceBuilder::new()
        .layer(SetSensitiveRequestHeadersLayer::new([AUTHORIZATION]))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(log)
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            TIMEOUT,
        ))
}

/// Records the key in the request's line.
pub(super) fn record_key(id: &str) {
    Span::current().record("user", id);
}

/// The fields that are known when a request arrives.
#[derive(Clone, Debug)]
pub(super) struct RequestSpan;

impl MakeSpan<Body> for RequestSpan {
    fn make_span(&mut self, request: &Request<Body>) -> Span {
        let id = request.headers().get(REQUEST_ID);
        tracing::info_span!(
            "request",
            request_id = id.and_then(|id| id.to_str().ok()),
            method = %request.method(),
            path = request.uri().path(),
            ip = client(request).map(field::display),
            user = field::Empty,
        )
    }
}

/// The line of a request.
#[derive(Clone, Debug)]
pub(super) struct Completed;

impl<B> OnResponse<B> for Completed {
    fn on_response(self, response: &Response<B>, latency: Duration, _: &Span) {
        tracing::info!(
            status = response.status().as_u16(),
            latency_ms = latency.as_secs_f64() * 1e3,
            "request completed"
        );
    }
}
