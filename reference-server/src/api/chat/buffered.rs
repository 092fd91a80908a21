//! An answer in one piece.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use stockade_core::Refusal;

use super::completion::CompletionMeta;
use crate::backend::{BackendError, Event, Generation, UsageMeter};

/// Collects the answer. The fence's time limit ends this by dropping it; the meter then has
/// what the model had made.
///
/// # Errors
/// A refusal where the model failed: half an answer is not sent as a whole one.
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
