//! `POST /v1/chat/completions`.
//!
//! 1. The body is read and validated; images are not decoded yet.
//! 2. The backend's phase is checked.
//! 3. Images are decoded in the decode pool.
//! 4. The backend starts the generation. Up to here, every failure has its own status.
//! 5. The completion is sent as one object or as a stream. If the client disconnects, the handler
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

use super::{Api, body as request_body, image, models, refusals};
use crate::{
    backend::{BackendError, ChatRequest, Message, Phase, UsageMeter},
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
use message::ChatMessage;
use validated::{ResponseMode, ValidatedChat};

/// Larger bodies are parsed in the decode pool, in bytes.
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
    // Starts at zero. However the request ends, the charge is what the meter reports.
    let meter = UsageMeter::start(context);

    let bytes = request_body::read(head, body, api.limits.body_timeout).await?;
    let chat = validate(api, bytes).await?;

    let status = api.backend.status();
    if chat.model != status.model {
        return Err(models::model_not_found(&status.model));
    }
    match status.phase {
        Phase::Ready => {}
        Phase::Loading(_) => return Err(BackendError::Loading.into()),
        Phase::Failed(_) => return Err(BackendError::Failed.into()),
    }

    let request = ChatRequest {
        messages: decode(api, chat.messages).await?,
        sampling: chat.sampling,
        meter: meter.clone(),
    };
    let started = api.backend.chat(request).await;
    let generation = started.inspect_err(|_| meter.fail(0))?;
    let meta = CompletionMeta::new(context, status.model);
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
    let limits = api.limits.chat;
    let is_small = bytes.len() <= INLINE_PARSE_LIMIT;
    let check = move || parse::parse(&bytes).and_then(|body| ValidatedChat::new(body, limits));
    if is_small {
        return check();
    }
    let checked = api.decode_pool.run(check).await;
    checked.unwrap_or_else(|| Err(refusals::internal("parsing the body panicked")))
}

/// Decodes the images of a chat.
async fn decode(api: &Api, chat_messages: Vec<ChatMessage>) -> Result<Vec<Message>, Refusal> {
    let side = api.limits.max_image_side;
    let mut messages = Vec::with_capacity(chat_messages.len());
    for message in chat_messages {
        let mut images = Vec::with_capacity(message.images.len());
        for input in message.images {
            // A job for each image, so that a chat with many images does not delay others.
            let decoded = api
                .decode_pool
                .run(move || image::decode(&input.image, side))
                .await;
            let decoded = decoded.unwrap_or(Err(image::ImageRejection::Corrupt));
            images.push(
                decoded.map_err(|rejection| message::image_refusal(rejection, &input.param))?,
            );
        }
        messages.push(Message {
            role: message.role,
            text: message.text,
            images,
        });
    }
    Ok(messages)
}
