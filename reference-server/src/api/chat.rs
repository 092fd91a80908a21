//! `POST /v1/chat/completions`.
//!
//! 1. The body is read and its fields are checked; nothing is decoded yet.
//! 2. The model is asked whether it would take a chat at all.
//! 3. Images are decoded on the workbench.
//! 4. The backend begins to answer. Up to here every failure has a status of its own.
//! 5. The answer is sent whole or as a stream. The client leaving drops the handler or
//!    the stream, and with it the [`Generation`](crate::backend::Generation).

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use http::request::Parts;
use stockade_core::{Refusal, RequestContext};

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

/// A body longer than this is read on the workbench.
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
        .ok_or_else(|| refusals::internal("no context layer stands before this handler"))?;
    let deadline = head
        .extensions
        .get::<Deadline>()
        .ok_or_else(|| refusals::internal("no time limit stands before this handler"))?;
    // Nothing yet. However this ends, the charge is what the meter shows.
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
    checked.unwrap_or_else(|| Err(refusals::internal("reading the body panicked")))
}

/// Decodes the images of a chat.
async fn decode(api: &Api, chat_messages: Vec<ChatMessage>) -> Result<Vec<Message>, Refusal> {
    let side = api.limits.max_image_side;
    let mut messages = Vec::with_capacity(chat_messages.len());
    for message in chat_messages {
        let mut images = Vec::with_capacity(message.images.len());
        for input in message.images {
            // One job an image, so that a chat of many does not keep the others waiting.
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
