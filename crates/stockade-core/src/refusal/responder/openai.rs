//! Refusals as OpenAI's clients read them.

use bytes::Bytes;
use http::Response;

use super::{DenialContext, json, json_response};

/// `{"error":{"message":…,"type":…,"param":…,"code":…}}`
pub(super) fn respond(denied: &DenialContext<'_>) -> Response<Bytes> {
    let refusal = denied.refusal;
    let mut body = String::with_capacity(192);
    body.push_str("{\"error\":{\"message\":");
    json::push_string(&mut body, refusal.message());
    // Types and codes are letters and underscores.
    body.extend([
        ",\"type\":\"",
        refusal.kind().openai_type(),
        "\",\"param\":",
    ]);
    json::push_option(&mut body, refusal.param());
    body.extend([",\"code\":\"", refusal.code(), "\"}}"]);
    json_response(refusal.kind().status(), "application/json", body)
}
