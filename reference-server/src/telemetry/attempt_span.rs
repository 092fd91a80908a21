//! The span of an attempt at an upstream, from its request to the end of its response.

use std::sync::Arc;

use http::{Request, StatusCode, Uri};
use opentelemetry::{
    Context, KeyValue,
    trace::{Span as _, SpanBuilder, SpanKind, Status, Tracer as _},
};
use opentelemetry_sdk::trace::Span;

use super::{
    Requests,
    conventions::{OTHER, known_method},
    trace_headers,
};
use crate::upstream::UpstreamUrl;

/// The span of an attempt; none where the current request has no span.
#[derive(Default)]
pub(crate) struct AttemptSpan(Option<Box<Attempt>>);

struct Attempt {
    span: Span,
    status: Option<StatusCode>,
}

impl AttemptSpan {
    /// Starts a child of the span of the current request, and makes it the parent of what the
    /// upstream records. `resends` is the number of attempts before this one.
    pub(crate) fn start<B>(request: &mut Request<B>, url: &UpstreamUrl, resends: u32) -> Self {
        let context = Context::current();
        let Some(requests) = context.get::<Arc<Requests>>() else {
            return Self(None);
        };
        let method = known_method(request.method());
        let mut attributes = vec![KeyValue::new("http.request.method", method)];
        attributes.extend(server(url, request.uri()).into_iter().flatten());
        if resends > 0 {
            let resends = i64::from(resends);
            attributes.push(KeyValue::new("http.request.resend_count", resends));
        }
        let name = if method == OTHER { "HTTP" } else { method };
        let span = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Client)
            .with_attributes(attributes);
        let span = requests.tracer.build_with_context(span, &context);
        trace_headers::insert(request.headers_mut(), span.span_context());
        Self(Some(Box::new(Attempt { span, status: None })))
    }

    /// Records the head of the response.
    pub(crate) fn respond(&mut self, status: StatusCode) {
        if let Some(attempt) = &mut self.0 {
            attempt.status = Some(status);
            let status = i64::from(status.as_u16());
            let status = KeyValue::new("http.response.status_code", status);
            attempt.span.set_attribute(status);
        }
    }

    /// Ends the span. The error is the status of a refusal or failure, otherwise `error`.
    pub(crate) fn end(&mut self, error: Option<&'static str>) {
        let Some(Attempt { mut span, status }) = self.0.take().map(|attempt| *attempt) else {
            return;
        };
        let status = status.filter(|status| status.is_client_error() || status.is_server_error());
        let error = match status {
            Some(status) => Some(status.as_str().to_owned()),
            None => error.map(str::to_owned),
        };
        if let Some(error) = error {
            span.set_attribute(KeyValue::new("error.type", error.clone()));
            span.set_status(Status::error(error));
        }
        span.end();
    }
}

/// The host and the port of the upstream, or the path of its Unix socket.
fn server(url: &UpstreamUrl, request: &Uri) -> [Option<KeyValue>; 2] {
    let address = |text: &str| Some(KeyValue::new("server.address", text.to_owned()));
    if let Some(socket) = url.socket() {
        return [address(&socket.to_string_lossy()), None];
    }
    let default = if url.is_https() { 443 } else { 80 };
    let port = i64::from(request.port_u16().unwrap_or(default));
    let host = request.host().unwrap_or_default();
    [
        // Without the brackets of an IPv6 address.
        address(host.trim_matches(['[', ']'])),
        Some(KeyValue::new("server.port", port)),
    ]
}
