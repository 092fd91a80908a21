//! `POST /v1/chat/completions`.
//!
//! 1. The body is read and validated; images are not decoded yet.
//! 2. The backend's phase is checked.
//! 3. The backend starts the generation. Up to here, every failure has its own status.
//! 4. The completion is sent as one object or as a stream. If the client disconnects, the handler
//!    or the stream is dropped, and with it the [`Generation`](crate::backend::Generation).

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use http::request::Parts;
use stockade_core::{context::RequestContext, refusal::Refusal};

use super::{Api, body as request_body, models, refusals, relay};
use crate::{
    backend::{BackendError, Phase, RelayApi, UsageMeter},
    fence::Deadline,
};

mod body;
mod buffered;
mod completion;
mod message;
mod other_fields;
mod parse;
mod stream;
mod unknown_fields;
mod validated;

pub(crate) use validated::ChatLimits;

use completion::CompletionMeta;
use validated::{ResponseMode, ValidatedChat};

/// Larger bodies are parsed off the async threads, in bytes.
const INLINE_PARSE_LIMIT: usize = 64 * 1024;

pub(super) async fn chat(State(api): State<Arc<Api>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    match respond(&api, &head, body).await {
        Ok(response) => response,
        Err(refusal) => refusals::respond(&refusal, &head),
    }
}

async fn respond(api: &Api, head: &Parts, body: Body) -> Result<Response, Refusal> {
    let context = RequestContext::of(&head.extensions)
        .ok_or_else(|| refusals::internal("no request context in this handler"))?;
    let deadline = head
        .extensions
        .get::<Deadline>()
        .ok_or_else(|| refusals::internal("no deadline layer wraps this handler"))?;
    let bytes = request_body::read(head, body, api.limits.body_timeout).await?;
    if let Some(response) = relay::try_relay(api, head, &bytes, RelayApi::Chat).await? {
        return Ok(response);
    }
    // Starts at zero. However the request ends, the charge is what the meter reports.
    let meter = UsageMeter::start(context);
    let chat = validate(api, bytes).await?;

    let model = api.models.get(&chat.model);
    let model = model.ok_or_else(|| models::model_not_found(&api.models))?;
    match model.backend.status().phase {
        Phase::Ready => {}
        Phase::Loading(_) => return Err(BackendError::Loading.into()),
        Phase::Failed(_) => return Err(BackendError::Failed.into()),
    }

    let started = model.backend.chat(chat.request, meter.clone()).await;
    let generation = started.inspect_err(|_| meter.fail(0))?;
    let meta = CompletionMeta::new(context, chat.model);
    let mut response = match chat.response_mode {
        ResponseMode::Buffered => buffered::respond(generation, &meta, &meter).await?,
        ResponseMode::Stream { include_usage } => stream::respond(
            generation,
            meta,
            include_usage,
            deadline.clone(),
            (context.clone(), meter),
        ),
    };
    if let Some(names) = chat.unknown.header() {
        response
            .headers_mut()
            .insert(unknown_fields::IGNORED_HEADER, names);
    }
    Ok(response)
}

async fn validate(api: &Api, bytes: Bytes) -> Result<ValidatedChat, Refusal> {
    let is_small = bytes.len() <= INLINE_PARSE_LIMIT;
    let (models, unknown_fields) = (api.models.clone(), api.limits.unknown_fields);
    let check = move || {
        let body = parse::parse(&bytes)?;
        let name = body.model.as_deref();
        let model = models.get(name.ok_or_else(|| validated::missing("model"))?);
        let model = model.ok_or_else(|| models::model_not_found(&models))?;
        ValidatedChat::new(body, model.limits, unknown_fields)
    };
    if is_small {
        return check();
    }
    let checked = api.parse_pool.run(check).await;
    checked.unwrap_or_else(|| Err(refusals::internal("parsing the body panicked")))
}
