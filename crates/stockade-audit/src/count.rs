//! Counts the bytes of a request's body as they are read.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use stockade_core::{BodyGuard, Check, Head, Refusal, RequestContext};

/// Says how many bytes of the request's body the inner service has read.
///
/// A check that reads bodies itself, such as stockade-body's, says so as well; where it
/// stands in the same chain, this one need not.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountReads;

impl<B> BodyGuard<B> for CountReads
where
    B: Body,
{
    type Body = RequestBody<B>;
    type Wait = Infallible;

    fn check(&self, head: &mut Head, body: B) -> Check<RequestBody<B>, Infallible> {
        let reader = match body.is_end_stream() {
            true => None,
            false => match head.context() {
                Some(context) => Some(Reader::Known(context.clone())),
                None => head.extensions.get().cloned().map(Reader::Nobody),
            },
        };
        Check::Pass(RequestBody {
            inner: body,
            bytes: 0,
            reader,
        })
    }

    fn poll_check(
        &self,
        wait: Pin<&mut Infallible>,
        _cx: &mut Context<'_>,
        _head: &mut Head,
    ) -> Poll<Result<RequestBody<B>, Refusal>> {
        match *wait {}
    }
}

/// The count of a request of which nobody has said who the peer is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own(Arc<AtomicU64>);

impl Own {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Whose body it is.
enum Reader {
    Known(RequestContext),
    Nobody(Own),
}

impl Reader {
    fn has_read(&self, bytes: u64) {
        match self {
            Self::Known(context) => context.set_bytes_read(bytes),
            Self::Nobody(own) => own.0.store(bytes, Relaxed),
        }
    }
}

pin_project! {
    /// A request's body whose bytes are counted as the inner service reads them.
    ///
    /// Frames, errors, size hint and end go through unchanged.
    pub struct RequestBody<B> {
        #[pin]
        inner: B,
        bytes: u64,
        // None where there is nothing to count.
        reader: Option<Reader>,
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
        if let (Some(reader), Some(Ok(frame))) = (this.reader, &frame) {
            *this.bytes += frame.data_ref().map_or(0, |data| data.remaining() as u64);
            reader.has_read(*this.bytes);
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
