//! How this API says no: in the same words and dialects as the fence around it.

use std::time::Duration;

use axum::{body::Body, response::Response};
use http::{
    HeaderValue, Request, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
    request::Parts,
};
use stockade_core::{Refusal, RefusalKind, RequestContext, Responder};

use crate::backend::BackendError;

/// The response to a request that is refused by its handler.
pub(crate) fn respond(refusal: &Refusal, head: &Parts) -> Response {
    if let Some(context) = RequestContext::of(&head.extensions) {
        record(refusal, context);
    }
    responder().respond(refusal, head).map(Body::from)
}

/// No route of this server is a gRPC method.
pub(crate) fn responder() -> Responder {
    Responder::default().without_grpc()
}

/// What an answer of the framework, which was not made here, says: a route or a method that
/// the router does not have, or an extractor that rejects a request. Those are plain text or
/// empty.
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
        StatusCode::NOT_FOUND => (RefusalKind::NotFound, "there is no such route"),
        StatusCode::METHOD_NOT_ALLOWED => (
            RefusalKind::MethodNotAllowed,
            "the route does not take this method",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => (RefusalKind::TooLarge, "the body is too large"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (
            RefusalKind::UnsupportedType,
            "the type of the body is not supported",
        ),
        status if status.is_client_error() => {
            (RefusalKind::Invalid, "the request cannot be understood")
        }
        _ => (
            RefusalKind::Internal,
            "the server failed to answer this request",
        ),
    };
    Some(Refusal::new(kind, text).because("rejected by the framework"))
}

/// The response to a refused request that the framework has answered in a format of its own.
pub(crate) fn replace(original: Response, refusal: &Refusal, head: &Parts) -> Response {
    let mut response = respond(refusal, head);
    if let Some(methods) = original.headers().get(ALLOW) {
        response.headers_mut().insert(ALLOW, methods.clone());
    }
    response
}

/// Leaves it for the records.
pub(super) fn record(refusal: &Refusal, context: &RequestContext) {
    context.refuse("api", refusal);
}

/// `{"error":{…}}`, for a stream that has begun: its head is sent, so there is no status
/// and no dialect any more.
pub(super) fn sse_data(refusal: &Refusal) -> String {
    let (head, ()) = Request::new(()).into_parts();
    let body = responder().respond(refusal, &head).into_body();
    String::from_utf8_lossy(&body).into_owned()
}

/// The answer took longer than the operator allows.
pub(crate) fn model_timeout() -> Refusal {
    let text = "the model did not finish in time: ask for fewer tokens, or try again later";
    Refusal::new(RefusalKind::Unavailable, text)
        .with_code("MODEL_TIMEOUT")
        .retry_after(Duration::from_secs(10))
}

/// The server ends, and has waited for answers as long as it may.
pub(crate) fn server_stopping() -> Refusal {
    let text = "the server is stopping and could not finish this: try again";
    Refusal::new(RefusalKind::Unavailable, text)
        .with_code("SERVER_STOPPING")
        .retry_after(Duration::from_secs(5))
}

/// Something in the server broke.
pub(crate) fn internal(internal_reason: &'static str) -> Refusal {
    let text = "the server failed to answer this request";
    Refusal::new(RefusalKind::Internal, text).because(internal_reason)
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
            BackendError::QueueFull { retry_after } => Self::new(RefusalKind::Unavailable, text)
                .with_code("QUEUE_FULL")
                .retry_after(retry_after),
            BackendError::Invalid { param, .. } => {
                Self::new(RefusalKind::Invalid, text).with_param(param)
            }
            BackendError::Engine => {
                Self::new(RefusalKind::Internal, text).with_code("ENGINE_FAILED")
            }
        }
    }
}
