//! The span of a request, from its head to the end of its response.

mod facts;
mod traced_body;

use std::{sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::{MatchedPath, Request},
    response::Response,
};
use http::StatusCode;
use http_body::Body as _;
use opentelemetry::{
    Context, KeyValue,
    trace::{Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _},
};
use opentelemetry_sdk::trace::Span;
use stockade_core::context::{MatchedRoute, RequestContext};

use super::{
    Requests,
    conventions::{OTHER, bounded, gen_ai, gen_ai_response, known_method},
    guard_spans,
    instruments::ModelUse,
    trace_headers,
};
use crate::relay::has_type;
use facts::Facts;
use traced_body::TracedBody;

/// The maximum lengths of texts that a client chooses, in bytes.
const MAX_PATH: usize = 256;
const MAX_MODEL: usize = 128;

/// The span of a request. It ends when this is dropped, so that each request has exactly one.
pub(super) struct RequestSpan {
    requests: Arc<Requests>,
    span: Span,
    context: RequestContext,
    method: &'static str,
    route: Option<MatchedPath>,
    started: Instant,
    status: Option<StatusCode>,
    is_stream: bool,
    first_data: Option<Instant>,
    end: End,
}

/// How the body of a response has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It was dropped before its end.
    Left,
    Failed,
    Completed,
}

impl RequestSpan {
    /// Starts a span.
    pub(super) fn start(requests: Arc<Requests>, request: &mut Request) -> Self {
        let started = Instant::now();
        let origin = trace_headers::take(request.headers_mut(), requests.trust);
        let context = RequestContext::get_or_insert(request.extensions_mut()).clone();
        let route = request.extensions().get::<MatchedPath>().cloned();
        let method = known_method(request.method());
        let prefix = if method == OTHER { "HTTP" } else { method };
        let name = match &route {
            Some(route) => format!("{prefix} {}", route.as_str()),
            None => prefix.to_owned(),
        };
        // Without the query, whose values may be secrets.
        let path = bounded(request.uri().path(), MAX_PATH);
        let span = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Server)
            .with_links(origin.links)
            .with_attributes([
                KeyValue::new("http.request.method", method),
                KeyValue::new("url.path", path),
                KeyValue::new("url.scheme", requests.scheme),
            ]);
        let span = requests.tracer.build_with_context(span, &origin.parent);
        if requests.guard_spans && span.is_recording() {
            context.record_checks();
        }
        Self {
            requests,
            span,
            context,
            method,
            route,
            started,
            status: None,
            is_stream: false,
            first_data: None,
            end: End::Left,
        }
    }

    /// The context of what is done for the request: the parent of spans, and what starts them.
    pub(super) fn context(&self) -> Context {
        let parent = self.span.span_context().clone();
        let context = Context::new().with_remote_span_context(parent);
        context.with_value(Arc::clone(&self.requests))
    }

    /// Ends the span with the body of the response.
    pub(super) fn respond(mut self, response: Response) -> Response {
        self.status = Some(response.status());
        self.is_stream = has_type(response.headers(), "text/event-stream");
        response.map(|body| {
            if body.is_end_stream() {
                self.end = End::Completed;
            }
            Body::new(TracedBody { body, span: self })
        })
    }

    /// The status of a failed request, or the code of the refusal that ended its stream.
    fn error(&self) -> Option<String> {
        let status = self.status?;
        let denial = self.context.denial();
        match (self.end, denial) {
            _ if status.is_server_error() => Some(status.as_str().to_owned()),
            // Such as a key that was revoked during the response.
            (_, Some(denial)) if status.is_success() => {
                let is_of_client = denial.kind.status().is_client_error();
                (!is_of_client).then(|| denial.code.to_owned())
            }
            (End::Failed, _) => Some("_OTHER".to_owned()),
            _ => None,
        }
    }

    fn outcome(&self) -> &'static str {
        let is_cut = self.context.denial().is_some()
            && self.status.is_some_and(|status| status.is_success());
        match self.end {
            _ if self.status.is_none() => "client_left",
            End::Completed if is_cut => "failed",
            End::Completed => "completed",
            End::Failed => "failed",
            End::Left => "client_left",
        }
    }

    fn record_span(&mut self, facts: &Facts) {
        if !self.span.is_recording() {
            return;
        }
        let context = &self.context;
        let mut attributes = vec![
            KeyValue::new("stockade.request.id", context.id().to_string()),
            KeyValue::new("stockade.outcome", self.outcome()),
        ];
        if let Some(principal) = context.principal() {
            let id = bounded(principal.id(), MAX_MODEL);
            attributes.push(KeyValue::new("stockade.principal.id", id));
        }
        if let Some(denial) = context.denial() {
            attributes.push(KeyValue::new("stockade.refusal.guard", denial.guard));
            attributes.push(KeyValue::new("stockade.refusal.code", denial.code));
        }
        if let Some(operation) = facts.operation {
            attributes.extend(gen_ai(operation));
            let request = context.model_request();
            if let Some(model) = request.and_then(|request| request.model.as_deref()) {
                let model = bounded(model, MAX_MODEL);
                attributes.push(KeyValue::new("gen_ai.request.model", model));
            }
        }
        if let Some(response) = context.model_response() {
            attributes.extend(gen_ai_response(response));
        }
        if let Some(usage) = facts.usage {
            let tokens = [
                ("gen_ai.usage.input_tokens", usage.prompt_tokens),
                ("gen_ai.usage.output_tokens", usage.completion_tokens),
            ];
            attributes.extend(tokens.map(|(name, count)| KeyValue::new(name, integer(count))));
            if context.is_usage_estimated() {
                attributes.push(KeyValue::new("stockade.usage.estimated", true));
            }
        }
        attributes.extend(facts.http.iter().skip(2).cloned());
        self.span.set_attributes(attributes);
        if let Some(error) = &facts.error {
            self.span.set_status(Status::error(error.clone()));
        }
    }

    fn record_metrics(&self, facts: &Facts) {
        let Some(instruments) = &self.requests.instruments else {
            return;
        };
        let ended = Instant::now();
        let seconds = (ended - self.started).as_secs_f64();
        instruments.http(seconds, &facts.http);
        // No model was to answer a request that was refused.
        let is_refused = self.status.is_some_and(|status| status.is_client_error());
        let Some((operation, model)) = facts.operation.zip(self.served_model()) else {
            return;
        };
        if is_refused {
            return;
        }
        let [operation, provider] = gen_ai(operation);
        let model = KeyValue::new("gen_ai.request.model", model);
        // An estimate is not a usage, by the conventions.
        let usage = facts.usage.filter(|_| !self.context.is_usage_estimated());
        let first = self.first_data.filter(|_| self.is_stream);
        let output = usage.map(|usage| usage.completion_tokens);
        let token = || {
            let later = output
                .filter(|_| self.end == End::Completed)?
                .checked_sub(1)?;
            let later = u32::try_from(later).ok().filter(|later| *later > 0)?;
            Some((ended - first?).as_secs_f64() / f64::from(later))
        };
        let error = facts.error.clone();
        instruments.model(ModelUse {
            attributes: &[operation, provider, model],
            error: error.map(|error| KeyValue::new("error.type", error)),
            seconds,
            first_token: first.map(|first| (first - self.started).as_secs_f64()),
            token: token(),
            input_tokens: usage.map(|usage| usage.prompt_tokens),
            output_tokens: output,
        });
    }

    fn record_exemplar(&self) {
        // As in the metric.
        let route = self.context.route().map_or("-", MatchedRoute::as_str);
        let seconds = self.started.elapsed().as_secs_f64();
        let exemplars = &self.requests.exemplars;
        exemplars.record(route, seconds, self.span.span_context());
    }

    /// The name of the model, if it is one of the server's: other names would be series of
    /// metrics that clients choose.
    fn served_model(&self) -> Option<String> {
        let name = self.context.model_request()?.model.as_deref()?;
        let model = self.requests.models.get(name)?;
        Some(model.name.clone())
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        let facts = Facts::of(self);
        let checks = self.context.checks();
        if !checks.is_empty() {
            guard_spans::record(&self.requests.tracer, &self.context(), checks);
        }
        self.record_span(&facts);
        self.record_metrics(&facts);
        self.record_exemplar();
        self.span.end();
    }
}

fn integer(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}
