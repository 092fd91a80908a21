//! An answer in one piece.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use stockade_core::{Refusal, RequestContext};

use super::answer::{Answer, counted};
use crate::backend::{BackendError, Event, Generation};

/// Collects the answer. The fence's time limit ends this by dropping it.
///
/// # Errors
/// A refusal where the model failed: half an answer is not sent as a whole one.
pub(super) async fn respond(
    mut generation: Generation,
    answer: &Answer,
    context: &RequestContext,
) -> Result<Response, Refusal> {
    let mut text = String::new();
    while let Some(event) = generation.next().await {
        match event? {
            Event::Text(more) => text.push_str(&more),
            Event::Done { finish, usage } => {
                context.set_usage(counted(usage));
                return Ok(Json(answer.completion(&text, finish, usage)).into_response());
            }
        }
    }
    Err(BackendError::Engine.into())
}
