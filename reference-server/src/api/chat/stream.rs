//! An answer as server-sent events.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::response::{
    IntoResponse, Response,
    sse::{self, KeepAlive, Sse},
};
use futures_util::{StreamExt, stream};
use http::HeaderName;
use serde::Serialize;
use stockade_core::{Refusal, RequestContext};

use super::answer::{Answer, Piece, counted};
use crate::{
    api::refusals,
    backend::{BackendError, Event, Generation, Usage},
    fence::Deadline,
};

/// A comment is sent after this long without a token, so that no proxy takes the
/// connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// nginx would collect a stream and send it whole.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Sends each piece as it comes. Dropping the response drops the generation.
pub(super) fn respond(
    generation: Generation,
    answer: Answer,
    wants_usage: bool,
    deadline: Deadline,
    context: RequestContext,
) -> Response {
    let mut pieces = Pieces {
        generation: Some(generation),
        ready: VecDeque::new(),
        answer,
        wants_usage,
        deadline,
        context,
        texts: 0,
    };
    pieces.push_piece(Piece::First);
    let events = stream::unfold(pieces, |mut pieces| async {
        let event = pieces.next().await?;
        Some((Ok::<_, Infallible>(event), pieces))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let sse = Sse::new(events).keep_alive(keep_alive);
    ([(X_ACCEL_BUFFERING, "no")], sse).into_response()
}

/// The events of one answer.
struct Pieces {
    /// `None` once the answer has ended.
    generation: Option<Generation>,
    /// Events to be sent before the model is asked for more.
    ready: VecDeque<sse::Event>,
    answer: Answer,
    wants_usage: bool,
    deadline: Deadline,
    context: RequestContext,
    texts: u64,
}

impl Pieces {
    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let generation = self.generation.as_mut()?;
            let event = tokio::select! {
                biased;
                event = generation.next() => event,
                refusal = self.deadline.passed() => {
                    self.fail(&refusal);
                    continue;
                }
            };
            match event {
                Some(Ok(Event::Text(text))) => self.text(&text),
                Some(Ok(Event::Done { finish, usage })) => {
                    self.push_piece(Piece::Last(finish));
                    self.done(usage);
                }
                Some(Err(error)) => self.fail(&error.into()),
                None => self.fail(&BackendError::Engine.into()),
            }
        }
    }

    fn text(&mut self, text: &str) {
        // A text is a token or more: the least that is owed if the client leaves now.
        self.texts += 1;
        self.context.set_usage(stockade_core::Usage {
            prompt_tokens: 0,
            completion_tokens: self.texts,
        });
        self.push_piece(Piece::Text(text));
    }

    fn done(&mut self, usage: Usage) {
        self.generation = None;
        self.context.set_usage(counted(usage));
        if self.wants_usage {
            let event = json(&self.answer.usage_chunk(usage));
            self.ready.push_back(event);
        }
        self.ready.push_back(sse::Event::default().data("[DONE]"));
    }

    /// Ends the stream without `[DONE]`, so that nobody takes it for complete.
    fn fail(&mut self, refusal: &Refusal) {
        self.generation = None;
        refusals::note(refusal, &self.context);
        let event = sse::Event::default().data(refusals::event(refusal));
        self.ready.push_back(event);
    }

    fn push_piece(&mut self, piece: Piece<'_>) {
        let event = json(&self.answer.chunk(piece, self.wants_usage));
        self.ready.push_back(event);
    }
}

fn json(value: &impl Serialize) -> sse::Event {
    let text = serde_json::to_string(value).expect("strings and numbers are JSON");
    sse::Event::default().data(text)
}
