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
    backend::{BackendError, ChatRequest, Message, Meter, Phase},
    fence::Deadline,
};

mod answer;
mod body;
mod call;
mod others;
mod read;
mod speech;
mod stream;
mod unknown;
mod whole;

pub(crate) use call::ChatLimits;

use answer::Answer;
use call::{Call, Reply};
use speech::Speech;

/// A body longer than this is read on the workbench.
const QUICKLY_READ: usize = 64 * 1024;

pub(super) async fn chat(State(api): State<Arc<Api>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    match respond(&api, &head, body).await {
        Ok(response) => response,
        Err(refusal) => refusals::respond(&refusal, &head),
    }
}

async fn respond(api: &Api, head: &Parts, body: Body) -> Result<Response, Refusal> {
    let context = RequestContext::of(&head.extensions)
        .ok_or_else(|| refusals::broken("no context layer stands before this handler"))?;
    let deadline = head
        .extensions
        .get::<Deadline>()
        .ok_or_else(|| refusals::broken("no time limit stands before this handler"))?;
    // Nothing yet. However this ends, the charge is what the meter shows.
    let meter = Meter::start(context);

    let bytes = request_body::read(head, body, api.limits.body_timeout).await?;
    let call = check(api, bytes).await?;

    let status = api.backend.status();
    if call.model != status.model {
        return Err(models::not_served(&status.model));
    }
    match status.phase {
        Phase::Ready => {}
        Phase::Loading(_) => return Err(BackendError::Loading.into()),
        Phase::Failed(_) => return Err(BackendError::Failed.into()),
    }

    let request = ChatRequest {
        messages: decode(api, call.messages).await?,
        sampling: call.sampling,
        meter: meter.clone(),
    };
    let begun = api.backend.chat(request).await;
    let generation = begun.inspect_err(|_| meter.fail(0))?;
    let answer = Answer::new(context, status.model);
    let mut response = match call.reply {
        Reply::Whole => whole::respond(generation, &answer, &meter).await?,
        Reply::Stream { usage } => stream::respond(
            generation,
            answer,
            usage,
            deadline.clone(),
            (context.clone(), meter),
        ),
    };
    if let Some(names) = call.unknown.header() {
        response.headers_mut().insert(unknown::IGNORED, names);
    }
    Ok(response)
}

async fn check(api: &Api, bytes: Bytes) -> Result<Call, Refusal> {
    let limits = api.limits.chat;
    let few = bytes.len() <= QUICKLY_READ;
    let check = move || read::read(&bytes).and_then(|body| Call::check(body, limits));
    if few {
        return check();
    }
    let checked = api.workbench.run(check).await;
    checked.unwrap_or_else(|| Err(refusals::broken("reading the body panicked")))
}

/// Decodes the images of a chat.
async fn decode(api: &Api, speeches: Vec<Speech>) -> Result<Vec<Message>, Refusal> {
    let side = api.limits.max_image_side;
    let mut messages = Vec::with_capacity(speeches.len());
    for speech in speeches {
        let mut images = Vec::with_capacity(speech.images.len());
        for inset in speech.images {
            // One job an image, so that a chat of many does not keep the others waiting.
            let decoded = api
                .workbench
                .run(move || image::decode(&inset.picture, side))
                .await;
            let decoded = decoded.unwrap_or(Err(image::ImageFault::Broken));
            images.push(decoded.map_err(|fault| speech::refuse_image(fault, &inset.param))?);
        }
        messages.push(Message {
            role: speech.role,
            text: speech.text,
            images,
        });
    }
    Ok(messages)
}
