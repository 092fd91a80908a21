//! A response in any dialect.

use serde::Serialize;
use stockade_core::refusal::Refusal;

use crate::chat::{Completion, Event};

/// The fields that all objects of a response share.
#[derive(Clone, Debug)]
pub(crate) struct ResponseHead {
    /// The id of the request, from which the ids of objects are derived.
    pub(crate) request_id: String,
    /// The time of the response, in seconds since the Unix epoch.
    pub(crate) created: u64,
}

#[cfg(test)]
impl ResponseHead {
    pub(super) fn for_tests() -> Self {
        Self {
            request_id: "id".to_owned(),
            created: 1,
        }
    }
}

/// A server-sent event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The name of the event.
    pub(crate) event: Option<&'static str>,
    /// The data, in one line.
    pub(crate) data: String,
}

impl Frame {
    /// Creates an event without a name.
    pub(super) fn data(value: &impl Serialize) -> Self {
        Self {
            event: None,
            data: String::from_utf8(to_json(value)).expect("JSON is UTF-8"),
        }
    }

    /// Creates an event.
    pub(super) fn named(event: &'static str, value: &impl Serialize) -> Self {
        Self {
            event: Some(event),
            ..Self::data(value)
        }
    }
}

/// Writes a response in a dialect: an object, or a stream of frames.
pub(crate) trait ResponseWriter: Send {
    /// The object of a response that is not streamed.
    fn object(&mut self, completion: &Completion) -> Vec<u8>;

    /// Adds the frames before the first event.
    fn start(&mut self, frames: &mut Vec<Frame>);

    /// Adds the frames of an event. [`Event::Done`] ends the stream.
    fn event(&mut self, event: Event, frames: &mut Vec<Frame>);

    /// Ends the stream with an error, such that clients see that it is incomplete.
    fn fail(&mut self, refusal: &Refusal, frames: &mut Vec<Frame>);

    /// The frame that keeps a connection open; without one, a comment does.
    fn ping(&self) -> Option<Frame> {
        None
    }
}

pub(super) fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts, numbers and raw JSON are JSON")
}
