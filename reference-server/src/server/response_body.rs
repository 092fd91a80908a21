//! The response body as the connection sends it.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::{
    in_flight::RequestGuard,
    unread_body::{Drain, UnreadBody},
};

/// A response body that keeps its request in flight, and that ends only after the rest of a
/// small request body has been drained.
struct ResponseBody {
    body: Body,
    state: State,
    _guard: RequestGuard,
}

enum State {
    Streaming(Option<UnreadBody>),
    Draining(Drain),
    Done,
}

/// Wraps the body of a response.
pub(super) fn wrap(
    response: Response,
    guard: RequestGuard,
    unread: Option<UnreadBody>,
) -> Response {
    response.map(|body| {
        Body::new(ResponseBody {
            body,
            state: State::Streaming(unread),
            _guard: guard,
        })
    })
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        loop {
            this.state = match &mut this.state {
                State::Streaming(unread) => {
                    if let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                        return Poll::Ready(Some(frame));
                    }
                    let drain = unread.take().and_then(UnreadBody::drain);
                    drain.map_or(State::Done, State::Draining)
                }
                State::Draining(drain) => {
                    ready!(drain.poll(cx));
                    State::Done
                }
                State::Done => return Poll::Ready(None),
            };
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Streaming(unread) => {
                self.body.is_end_stream() && unread.as_ref().is_none_or(UnreadBody::is_empty)
            }
            State::Draining(_) => false,
            State::Done => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
