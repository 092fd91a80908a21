//! Streams a completion as server-sent events.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::response::{
    IntoResponse, Response,
    sse::{self, KeepAlive, Sse},
};
use futures_util::{StreamExt, stream};
use http::HeaderName;
use serde::Serialize;
use stockade_core::{context::RequestContext, refusal::Refusal};

use super::completion::{ChunkKind, CompletionMeta};
use crate::{
    api::refusals,
    backend::{BackendError, Generation, UsageMeter},
    chat::{Event, Usage},
    fence::Deadline,
};

/// The interval of comments while there is no token, so that proxies do not close the
/// connection.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Disables response buffering in nginx.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Sends each event as it is generated. Dropping the response drops the generation.
pub(super) fn respond(
    generation: Generation,
    meta: CompletionMeta,
    include_usage: bool,
    deadline: Deadline,
    (context, meter): (RequestContext, UsageMeter),
) -> Response {
    let mut state = StreamState {
        generation: Some(generation),
        queued: VecDeque::new(),
        meta,
        include_usage,
        deadline,
        context,
        meter,
        delivered: 0,
    };
    state.push_chunk(ChunkKind::Role);
    let events = stream::unfold(state, |mut state| async {
        let event = state.next_event().await?;
        Some((Ok::<_, Infallible>(event), state))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let sse = Sse::new(events).keep_alive(keep_alive);
    ([(X_ACCEL_BUFFERING, "no")], sse).into_response()
}

/// The state of a streamed completion.
struct StreamState {
    /// `None` after the completion has ended.
    generation: Option<Generation>,
    /// Events to send before the generation is polled again.
    queued: VecDeque<sse::Event>,
    meta: CompletionMeta,
    include_usage: bool,
    deadline: Deadline,
    context: RequestContext,
    meter: UsageMeter,
    /// The number of texts sent. A text is at least one token, so this is the minimum number of
    /// tokens delivered.
    delivered: u64,
}

impl StreamState {
    async fn next_event(&mut self) -> Option<sse::Event> {
        loop {
            if let Some(event) = self.queued.pop_front() {
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
                Some(Ok(Event::Text { text, .. })) => self.on_text(&text),
                Some(Ok(Event::Finish { reason, .. })) => {
                    self.push_chunk(ChunkKind::Finish(reason));
                }
                Some(Ok(Event::Done(usage))) => self.on_done(usage),
                // The features of other events are refused.
                Some(Ok(_)) => {}
                Some(Err(error)) => self.engine_failed(error),
                None => self.engine_failed(BackendError::Engine),
            }
        }
    }

    fn on_text(&mut self, text: &str) {
        self.delivered += 1;
        self.push_chunk(ChunkKind::Content(text));
    }

    fn on_done(&mut self, usage: Usage) {
        self.generation = None;
        self.meter.report(usage);
        if self.include_usage {
            let event = json(&self.meta.usage_chunk(usage));
            self.queued.push_back(event);
        }
        self.queued.push_back(sse::Event::default().data("[DONE]"));
    }

    /// Ends the stream after a failure of the engine, and charges only what was delivered.
    fn engine_failed(&mut self, error: BackendError) {
        self.meter.fail(self.delivered);
        self.fail(&error.into());
    }

    /// Ends the stream with an error and without `[DONE]`, so that clients see it is incomplete.
    fn fail(&mut self, refusal: &Refusal) {
        self.generation = None;
        refusals::record(refusal, &self.context);
        let event = sse::Event::default().data(refusals::sse_data(refusal));
        self.queued.push_back(event);
    }

    fn push_chunk(&mut self, kind: ChunkKind<'_>) {
        let event = json(&self.meta.chunk(kind, self.include_usage));
        self.queued.push_back(event);
    }
}

fn json(value: &impl Serialize) -> sse::Event {
    let text = serde_json::to_string(value).expect("strings and numbers are JSON");
    sse::Event::default().data(text)
}
