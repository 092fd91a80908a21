//! The request's body, counted as it is read.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::exchange::{Exchange, Facts};

pin_project! {
    /// A request's body whose bytes are counted as the inner service reads them.
    ///
    /// Frames, errors, size hint and end go through unchanged.
    pub struct RequestBody<B> {
        #[pin]
        inner: B,
        // None where there is nothing to count.
        count: Option<Arc<Facts>>,
    }
}

impl<B> RequestBody<B>
where
    B: Body,
{
    pub(crate) fn new(inner: B, exchange: &Exchange) -> Self {
        let count = (!inner.is_end_stream()).then(|| Arc::clone(&exchange.facts));
        Self { inner, count }
    }
}

impl<B> RequestBody<B> {
    /// The body as it was.
    pub fn into_inner(self) -> B {
        self.inner
    }
}

impl<B> Body for RequestBody<B>
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
        if let (Some(facts), Some(Ok(frame))) = (this.count, &frame) {
            let length = frame.data_ref().map_or(0, |data| data.remaining() as u64);
            facts.read(length);
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

impl<B> fmt::Debug for RequestBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").finish_non_exhaustive()
    }
}
