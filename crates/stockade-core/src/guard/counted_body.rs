//! A request's body, counted as it is read.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::context::RequestContext;

pin_project! {
    /// A request's body that says in the context how much of it has been read
    /// ([`RequestContext::set_bytes_read`]).
    ///
    /// Frames, errors, size hint and end go through unchanged.
    pub struct CountedBody<B> {
        #[pin]
        inner: B,
        bytes: u64,
        // None where no count is needed.
        context: Option<RequestContext>,
    }
}

impl<B> CountedBody<B> {
    /// This body, of the request with this context.
    pub fn new(inner: B, context: Option<RequestContext>) -> Self {
        Self {
            inner,
            bytes: 0,
            context,
        }
    }

    /// The body as it was.
    pub fn into_inner(self) -> B {
        self.inner
    }
}

impl<B> Body for CountedBody<B>
where
    B: Body,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx));
        if let (Some(context), Some(Ok(frame))) = (this.context, &frame) {
            *this.bytes += frame.data_ref().map_or(0, |data| data.remaining() as u64);
            context.set_bytes_read(*this.bytes);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> fmt::Debug for CountedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountedBody").finish_non_exhaustive()
    }
}
