//! Refusals by the API, in the same format as the fence's.

use std::time::Duration;

use axum::{body::Body, response::Response};
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
    request::Parts,
};
use stockade_core::{
    context::RequestContext,
    refusal::{Refusal, RefusalKind, RefusalReason, Responder},
};

use crate::backend::BackendError;

/// Builds the response to a request that its handler refuses, and records the refusal.
pub(crate) fn respond(refusal: &Refusal, head: &Parts) -> Response {
    if let Some(context) = RequestContext::of(&head.extensions) {
        record(refusal, context);
    }
    responder().respond(refusal, head).map(Body::from)
}

/// The responder; without gRPC, because the server has no gRPC routes.
pub(crate) fn responder() -> Responder {
    Responder::default().without_grpc()
}

/// The refusal for an error response of axum, such as an unknown route or method or a rejection by
/// an extractor; `None` for other responses. axum's errors are plain text or empty.
pub(crate) fn from_framework(original: &Response) -> Option<Refusal> {
    let status = original.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let is_text = |value: &HeaderValue| value.as_bytes().starts_with(b"text/plain");
    let content_type = original.headers().get(CONTENT_TYPE);
    if !content_type.is_none_or(is_text) {
        return None;
    }
    let (kind, text) = match status {
        StatusCode::NOT_FOUND => (RefusalKind::NotFound, "no such route"),
        StatusCode::METHOD_NOT_ALLOWED => (
            RefusalKind::MethodNotAllowed,
            "the route does not support this method",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => (RefusalKind::TooLarge, "the body is too large"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (
            RefusalKind::UnsupportedType,
            "the body's type is not supported",
        ),
        status if status.is_client_error() => (RefusalKind::Invalid, "the request is malformed"),
        _ => (
            RefusalKind::Internal,
            "the server failed to answer this request",
        ),
    };
    Some(Refusal::new(kind, text).with_internal_reason("rejected by the framework"))
}

/// Replaces an error response of axum, keeping its `Allow` header.
pub(crate) fn replace(original: Response, refusal: &Refusal, head: &Parts) -> Response {
    let mut response = respond(refusal, head);
    if let Some(methods) = original.headers().get(ALLOW) {
        response.headers_mut().insert(ALLOW, methods.clone());
    }
    response
}

/// Records the refusal in the request context, for the audit log.
pub(crate) fn record(refusal: &Refusal, context: &RequestContext) {
    context.refuse("api", refusal);
}

/// Tells the SDKs of OpenAI and Anthropic whether to repeat a request.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// The response took longer than the configured timeout. A retry would repeat the work.
pub(crate) fn model_timeout() -> Refusal {
    let text = "the model did not finish in time: ask for fewer tokens, or try again later";
    Refusal::new(RefusalKind::GatewayTimeout, text)
        .with_code("MODEL_TIMEOUT")
        .with_header(SHOULD_RETRY, HeaderValue::from_static("false"))
}

/// The server is shutting down, and the grace period is over.
pub(crate) fn server_stopping() -> Refusal {
    let text = "the server is shutting down and could not finish the request: try again";
    Refusal::new(RefusalKind::Unavailable, text)
        .with_code("SERVER_STOPPING")
        .retry_after(Duration::from_secs(5))
}

/// An internal error; the reason is only for the audit log.
pub(crate) fn internal(internal_reason: &'static str) -> Refusal {
    let text = "the server failed to answer this request";
    Refusal::new(RefusalKind::Internal, text).with_internal_reason(internal_reason)
}

impl From<BackendError> for Refusal {
    fn from(error: BackendError) -> Self {
        let text = error.to_string();
        match error {
            BackendError::Loading => Self::new(RefusalKind::Unavailable, text)
                .with_code("MODEL_LOADING")
                .retry_after(Duration::from_secs(5)),
            BackendError::Failed => Self::new(RefusalKind::Unavailable, text)
                .with_code("MODEL_FAILED")
                .retry_after(Duration::from_secs(30)),
            BackendError::Unloaded => Self::new(RefusalKind::Unavailable, text)
                .with_code("MODEL_UNLOADED")
                .retry_after(Duration::from_secs(60)),
            BackendError::QueueFull { retry_after } => Self::new(RefusalKind::Unavailable, text)
                .with_code("QUEUE_FULL")
                .retry_after(retry_after),
            BackendError::QueueTimeout { retry_after } => Self::new(RefusalKind::Unavailable, text)
                .with_code("QUEUE_TIMEOUT")
                .retry_after(retry_after),
            BackendError::TooCostly { .. } => {
                Self::new(RefusalKind::Invalid, text).with_code("REQUEST_TOO_COSTLY")
            }
            BackendError::Stuck => Self::new(RefusalKind::Unavailable, text)
                .with_code("MODEL_STUCK")
                .retry_after(Duration::from_secs(30)),
            BackendError::Invalid { param, .. } => {
                Self::new(RefusalKind::Invalid, text).with_param(param)
            }
            BackendError::InvalidImage { param, .. } => Self::new(RefusalKind::Invalid, text)
                .with_param(param)
                .with_code("INVALID_IMAGE")
                .with_reason(RefusalReason::InvalidImage),
            BackendError::Unsupported { param } => Self::new(RefusalKind::Invalid, text)
                .with_param(param)
                .with_code("UNSUPPORTED_PARAMETER"),
            BackendError::UnsupportedApi => Self::new(RefusalKind::Invalid, text)
                .with_param("model")
                .with_code("UNSUPPORTED_PARAMETER"),
            BackendError::Upstream(refusal) => refusal,
            BackendError::Engine => {
                Self::new(RefusalKind::Internal, text).with_code("ENGINE_FAILED")
            }
        }
    }
}
