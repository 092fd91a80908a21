//! The body of an answer on its connection.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::{
    in_flight::Begun,
    leftover::{Drain, Leftover},
};

/// An answer that keeps its request in flight, and whose end waits for the rest of a small
/// request body.
struct Answer {
    body: Body,
    state: State,
    _begun: Begun,
}

enum State {
    Answering(Option<Leftover>),
    Draining(Drain),
    Ended,
}

/// The response, as its connection sends it.
pub(super) fn send(response: Response, begun: Begun, leftover: Option<Leftover>) -> Response {
    response.map(|body| {
        Body::new(Answer {
            body,
            state: State::Answering(leftover),
            _begun: begun,
        })
    })
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        loop {
            this.state = match &mut this.state {
                State::Answering(leftover) => {
                    if let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                        return Poll::Ready(Some(frame));
                    }
                    let drain = leftover.take().and_then(Leftover::drain);
                    drain.map_or(State::Ended, State::Draining)
                }
                State::Draining(drain) => {
                    ready!(drain.poll(cx));
                    State::Ended
                }
                State::Ended => return Poll::Ready(None),
            };
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Answering(leftover) => {
                self.body.is_end_stream() && leftover.as_ref().is_none_or(Leftover::is_nothing)
            }
            State::Draining(_) => false,
            State::Ended => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
