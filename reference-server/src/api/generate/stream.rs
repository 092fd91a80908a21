//! Streams a completion as server-sent events.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::response::{
    IntoResponse, Response,
    sse::{self, KeepAlive, Sse},
};
use futures_util::{StreamExt, stream};
use stockade_core::refusal::Refusal;

use super::ResponseReport;
use crate::{
    api::{X_ACCEL_BUFFERING, refusals},
    backend::{BackendError, Generation, UsageMeter},
    chat::Event,
    dialect::{Frame, ResponseWriter},
    fence::Deadline,
};

/// The interval of pings while there is no token, so that proxies do not close the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Sends each event as it is generated. Dropping the response drops the generation.
pub(super) fn respond(
    generation: Generation,
    writer: Box<dyn ResponseWriter>,
    deadline: Deadline,
    (report, meter): (ResponseReport, UsageMeter),
) -> Response {
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let keep_alive = match writer.ping() {
        Some(ping) => keep_alive.event(to_event(ping)),
        None => keep_alive,
    };
    let mut state = StreamState {
        generation: Some(generation),
        queued: VecDeque::new(),
        writer,
        deadline,
        report,
        meter,
        delivered: 0,
    };
    state.write(|writer, frames| writer.start(frames));
    let events = stream::unfold(state, |mut state| async {
        let frame = state.next_frame().await?;
        Some((Ok::<_, Infallible>(to_event(frame)), state))
    });
    let sse = Sse::new(events).keep_alive(keep_alive);
    ([(X_ACCEL_BUFFERING, "no")], sse).into_response()
}

fn to_event(frame: Frame) -> sse::Event {
    let event = sse::Event::default().data(frame.data);
    match frame.event {
        Some(name) => event.event(name),
        None => event,
    }
}

/// The state of a streamed completion.
struct StreamState {
    /// `None` after the completion has ended.
    generation: Option<Generation>,
    /// Frames to send before the generation is polled again.
    queued: VecDeque<Frame>,
    writer: Box<dyn ResponseWriter>,
    deadline: Deadline,
    report: ResponseReport,
    meter: UsageMeter,
    /// The number of events with generated tokens. Each has at least one, so this is the minimum
    /// number of tokens delivered.
    delivered: u64,
}

impl StreamState {
    async fn next_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.queued.pop_front() {
                return Some(frame);
            }
            let generation = self.generation.as_mut()?;
            let event = tokio::select! {
                biased;
                event = generation.next() => event,
                passed = self.deadline.passed() => {
                    self.fail(&passed.refusal());
                    continue;
                }
            };
            match event {
                Some(Ok(event)) => self.on_event(event),
                Some(Err(error)) => self.engine_failed(error),
                None => self.engine_failed(BackendError::Engine),
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match &event {
            Event::Done(usage) => {
                self.generation = None;
                self.meter.report(*usage);
                self.report.send();
            }
            Event::Finish { reason, .. } => self.report.add(reason),
            Event::Images(_) => {}
            _ => self.delivered += 1,
        }
        self.write(|writer, frames| writer.event(event, frames));
    }

    /// Ends the stream after a failure of the engine, and charges only what was delivered.
    fn engine_failed(&mut self, error: BackendError) {
        self.meter.fail(self.delivered);
        self.fail(&error.into());
    }

    /// Ends the stream with an error.
    fn fail(&mut self, refusal: &Refusal) {
        self.generation = None;
        refusals::record(refusal, &self.report.context);
        self.write(|writer, frames| writer.fail(refusal, frames));
    }

    fn write<F>(&mut self, write: F)
    where
        F: FnOnce(&mut dyn ResponseWriter, &mut Vec<Frame>),
    {
        let mut frames = Vec::new();
        write(&mut *self.writer, &mut frames);
        self.queued.extend(frames);
    }
}
