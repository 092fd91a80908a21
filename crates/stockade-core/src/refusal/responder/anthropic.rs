//! Refusals as Anthropic's clients read them.

use bytes::Bytes;
use http::Response;

use super::{DenialContext, json, json_response};
use crate::{context::RequestId, refusal::Refusal};

pub(super) fn respond(denied: &DenialContext<'_>) -> Response<Bytes> {
    let body = anthropic_error(denied.refusal, denied.request_id);
    json_response(denied.refusal.kind().status(), "application/json", body)
}

/// The error object of Anthropic's API,
/// `{"type":"error","error":{"type":…,"message":…},"request_id":…}`, and in `error` the code and
/// the field, which Anthropic's clients ignore. It is also the data of the event `error` that ends
/// a stream which has begun.
///
/// ```
/// use stockade_core::refusal::{Refusal, RefusalKind, anthropic_error};
///
/// let refusal = Refusal::new(RefusalKind::Unauthenticated, "the API key is not valid");
/// let event = format!("event: error\ndata: {}\n\n", anthropic_error(&refusal, None));
/// assert!(event.contains(r#""type":"authentication_error""#));
/// ```
pub fn anthropic_error(refusal: &Refusal, request_id: Option<RequestId>) -> String {
    let mut body = String::with_capacity(224);
    // Types and codes are letters and underscores.
    body.extend([
        "{\"type\":\"error\",\"error\":{\"type\":\"",
        refusal.kind().anthropic_type(),
        "\",\"message\":",
    ]);
    json::push_string(&mut body, refusal.message());
    body.extend([",\"code\":\"", refusal.code(), "\",\"param\":"]);
    json::push_option(&mut body, refusal.param());
    body.push('}');
    if let Some(id) = request_id {
        body.push_str(",\"request_id\":");
        json::push_string(&mut body, &id.to_string());
    }
    body.push('}');
    body
}
