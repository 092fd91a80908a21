//! Sends a completion as one object.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use stockade_core::refusal::Refusal;

use super::completion::CompletionMeta;
use crate::backend::{BackendError, Event, Generation, UsageMeter};

/// Collects the completion. The deadline drops this future; the meter then has the usage so far.
///
/// # Errors
/// Returns a refusal if the model fails: an incomplete completion is not sent.
pub(super) async fn respond(
    generation: Generation,
    meta: &CompletionMeta,
    meter: &UsageMeter,
) -> Result<Response, Refusal> {
    let response = collect(generation, meta, meter).await;
    // Nothing was delivered, so nothing is charged.
    Ok(response.inspect_err(|_| meter.fail(0))?)
}

async fn collect(
    mut generation: Generation,
    meta: &CompletionMeta,
    meter: &UsageMeter,
) -> Result<Response, BackendError> {
    let mut text = String::new();
    while let Some(event) = generation.next().await {
        match event? {
            Event::Text(piece) => text.push_str(&piece),
            Event::Done { finish, usage } => {
                meter.report(usage);
                return Ok(Json(meta.completion(&text, finish, usage)).into_response());
            }
        }
    }
    Err(BackendError::Engine)
}
