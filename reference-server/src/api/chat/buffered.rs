//! Sends a completion as one object.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use stockade_core::refusal::Refusal;

use super::completion::CompletionMeta;
use crate::{
    backend::{BackendError, Generation, UsageMeter},
    chat::{Completion, FinishReason},
};

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
    let mut completion = Completion::default();
    while completion.usage.is_none() {
        let event = generation.next().await.ok_or(BackendError::Engine)?;
        completion.push(event?);
    }
    let (Some(choice), Some(usage)) = (completion.choices.first(), completion.usage) else {
        return Err(BackendError::Engine);
    };
    meter.report(usage);
    let finish = choice.finish.unwrap_or(FinishReason::Stop);
    Ok(Json(meta.completion(&choice.text, finish, usage)).into_response())
}
