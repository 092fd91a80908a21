//! Refusals as Anthropic's clients read them.

use bytes::Bytes;
use http::Response;

use super::{DenialContext, json, json_response};

/// `{"type":"error","error":{"type":…,"message":…},"request_id":…}`, and in `error` the code and
/// the field, which Anthropic's clients ignore.
pub(super) fn respond(denied: &DenialContext<'_>) -> Response<Bytes> {
    let refusal = denied.refusal;
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
    if let Some(id) = denied.request_id {
        body.push_str(",\"request_id\":");
        json::push_string(&mut body, &id.to_string());
    }
    body.push('}');
    json_response(refusal.kind().status(), "application/json", body)
}
