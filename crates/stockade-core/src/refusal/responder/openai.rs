//! Refusals as OpenAI's clients read them.

use bytes::Bytes;
use http::Response;

use super::{DenialContext, json, json_response};
use crate::refusal::Refusal;

pub(super) fn respond(denied: &DenialContext<'_>) -> Response<Bytes> {
    let refusal = denied.refusal;
    json_response(
        refusal.kind().status(),
        "application/json",
        openai_error(refusal),
    )
}

/// The error object of OpenAI's API, `{"error":{"message":…,"type":…,"param":…,"code":…}}`: the
/// data of the last event of a stream that has begun, whose status can no longer change.
///
/// ```
/// use stockade_core::refusal::{Refusal, RefusalKind, openai_error};
///
/// let refusal = Refusal::new(RefusalKind::Unauthenticated, "the API key is not valid");
/// let event = format!("data: {}\n\n", openai_error(&refusal));
/// assert!(event.contains(r#""code":"AUTHENTICATION_FAILED""#));
/// ```
pub fn openai_error(refusal: &Refusal) -> String {
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
    body
}
