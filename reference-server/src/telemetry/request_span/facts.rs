//! What is recorded about a request.

use axum::extract::MatchedPath;
use opentelemetry::KeyValue;
use stockade_core::llm::TokenUsage;

use super::RequestSpan;
use crate::telemetry::conventions::operation;

/// What both the span and the metrics have.
pub(super) struct Facts {
    /// The method and the scheme, which the span has from its start, and then the others.
    pub(super) http: Vec<KeyValue>,
    pub(super) operation: Option<&'static str>,
    pub(super) usage: Option<TokenUsage>,
    pub(super) error: Option<String>,
}

impl Facts {
    /// The facts of a request that has ended.
    pub(super) fn of(request: &RequestSpan) -> Self {
        let mut http = vec![
            KeyValue::new("http.request.method", request.method),
            KeyValue::new("url.scheme", request.requests.scheme),
        ];
        let route = request.route.as_ref().map(MatchedPath::as_str);
        if let Some(route) = route {
            http.push(KeyValue::new("http.route", route.to_owned()));
        }
        if let Some(status) = request.status {
            let status = i64::from(status.as_u16());
            http.push(KeyValue::new("http.response.status_code", status));
        }
        let error = request.error();
        if let Some(error) = error.clone() {
            http.push(KeyValue::new("error.type", error));
        }
        Self {
            http,
            operation: route.and_then(operation),
            usage: request.context.final_usage(),
            error,
        }
    }
}
