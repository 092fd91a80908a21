//! Relays a response that is one JSON object.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header::CONTENT_TYPE};
use http_body_util::BodyExt;
use stockade_core::{
    context::RequestContext,
    llm::{ModelResponse, TokenUsage},
    refusal::Refusal,
};

use super::{
    error::{invalid_response, upstream_refusal},
    headers,
    usage::{Reading, estimated_completion},
};
use crate::upstream::UpstreamResponse;

/// Reads the whole object, and reports its usage and how it describes itself.
///
/// # Errors
/// Returns a refusal if the response is incomplete, too large, or not a JSON object.
pub(super) async fn respond(
    response: UpstreamResponse,
    context: &RequestContext,
    prompt_estimate: u64,
) -> Result<Response, Refusal> {
    let has_type = headers::has_type(&response.headers, "application/json");
    let object = response.body.collect().await;
    let object = object.map_err(|error| upstream_refusal(&error))?.to_bytes();
    let reading: Reading<'_> = match serde_json::from_slice(&object) {
        Ok(reading) if has_type => reading,
        _ => return Err(invalid_response()),
    };
    let mut described = ModelResponse::default();
    reading.describe(&mut described);
    context.set_model_response(described);
    let usage = reading.usage();
    match usage.complete() {
        Some(usage) => context.set_usage(usage),
        None => context.set_estimated_usage(usage.or_estimate(TokenUsage {
            prompt_tokens: prompt_estimate,
            completion_tokens: estimated_completion(&object),
        })),
    }
    let json = HeaderValue::from_static("application/json");
    Ok(([(CONTENT_TYPE, json)], object).into_response())
}
