//! `POST /tokenize`, as vLLM has it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use http::request::Parts;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use stockade_core::{
    llm::TokenUsage,
    refusal::{Refusal, RefusalKind},
};

use super::{Api, relay};
use crate::{models::Model, relay::RelayApi};

pub(super) async fn tokenize(State(api): State<Arc<Api>>, request: Request) -> Response {
    relay::serve(
        &api,
        request,
        RelayApi::Tokenize,
        |_, head, bytes, model| tokenize_here(head, bytes, model).boxed(),
    )
    .await
}

#[derive(Deserialize)]
struct TokenizeBody {
    prompt: Option<String>,
    messages: Option<IgnoredAny>,
}

#[derive(Serialize)]
struct TokenizeResponse {
    count: usize,
    max_model_len: usize,
    tokens: Vec<u32>,
}

async fn tokenize_here(head: &Parts, body: &[u8], model: &Model) -> Result<Response, Refusal> {
    let (context, _) = relay::request_state(head)?;
    // The model does not work.
    context.set_usage(TokenUsage::default());
    let body: TokenizeBody = serde_json::from_slice(body)
        .map_err(|_| invalid("prompt", "`prompt` is invalid: expected a string"))?;
    let prompt = match body {
        TokenizeBody {
            prompt: Some(prompt),
            messages: None,
        } => prompt,
        TokenizeBody { prompt: None, .. } => return Err(invalid("prompt", "`prompt` is missing")),
        TokenizeBody { .. } => {
            return Err(invalid("messages", "this model splits only a `prompt`")
                .with_code("UNSUPPORTED_PARAMETER"));
        }
    };
    let tokens = model.backend.tokenize(prompt).await?;
    let response = TokenizeResponse {
        count: tokens.ids.len(),
        max_model_len: tokens.context,
        tokens: tokens.ids,
    };
    Ok(Json(response).into_response())
}

fn invalid(param: &'static str, text: &'static str) -> Refusal {
    Refusal::new(RefusalKind::Invalid, text).with_param(param)
}
