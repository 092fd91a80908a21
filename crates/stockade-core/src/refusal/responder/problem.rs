//! Refusals as RFC 9457 problem details.

use bytes::Bytes;
use http::Response;

use super::{DenialContext, json, json_response};
use crate::refusal::RefusalKind;

/// `{"type":…,"title":…,"status":…,"detail":…,"code":…}` and what else is known.
pub(super) fn respond(denied: &DenialContext<'_>) -> Response<Bytes> {
    let refusal = denied.refusal;
    let status = refusal.kind().status();
    let mut body = String::with_capacity(256);
    body.push_str("{\"type\":");
    json::push_string(&mut body, refusal.problem_type());
    body.push_str(",\"title\":");
    json::push_option(&mut body, status.canonical_reason());
    body.push_str(",\"status\":");
    body.push_str(status.as_str());
    body.push_str(",\"detail\":");
    json::push_string(&mut body, refusal.message());
    body.push_str(",\"code\":");
    json::push_string(&mut body, refusal.code());
    if let Some(param) = refusal.param() {
        body.push_str(",\"param\":");
        json::push_string(&mut body, param);
    }
    if let Some(id) = denied.request_id {
        body.push_str(",\"request_id\":");
        json::push_string(&mut body, &id.to_string());
    }
    if refusal.kind() == RefusalKind::RateLimited && !refusal.violations().is_empty() {
        body.push_str(",\"violated-policies\":[");
        for (at, violation) in refusal.violations().iter().enumerate() {
            if at > 0 {
                body.push(',');
            }
            json::push_string(&mut body, &violation.subject);
        }
        body.push(']');
    }
    body.push('}');
    json_response(status, "application/problem+json", body)
}
