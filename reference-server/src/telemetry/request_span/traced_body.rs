//! The body of a response, until whose end a span lasts.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::{End, RequestSpan};

/// The body of a response. Its fields are dropped in order: the span sees how the fence has ended
/// the request.
pub(super) struct TracedBody {
    pub(super) body: Body,
    pub(super) span: RequestSpan,
}

impl http_body::Body for TracedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Self { body, span } = &mut *self;
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        match &frame {
            None => span.end = End::Completed,
            Some(Err(_)) => span.end = End::Failed,
            Some(Ok(frame)) => {
                if frame.is_data() && span.first_data.is_none() {
                    span.first_data = Some(Instant::now());
                }
                // The server may not ask for more.
                if body.is_end_stream() {
                    span.end = End::Completed;
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
