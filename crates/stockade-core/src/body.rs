//! The response body of a guarded service.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{End, Holds, held::Held};

pin_project! {
    /// The inner service's body, or the bytes of a refusal.
    ///
    /// Frames, errors, size hint and end of the inner body go through unchanged.
    pub struct GuardedBody<B, H>
    where
        H: Holds,
    {
        #[pin]
        kind: Kind<B>,
        held: Held<H>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        Inner {
            #[pin]
            body: B,
        },
        Refusal {
            bytes: Option<Bytes>,
        },
    }
}

impl<B, H> GuardedBody<B, H>
where
    H: Holds,
{
    pub(crate) fn inner(body: B, mut held: Held<H>) -> Self
    where
        B: Body<Data = Bytes>,
    {
        // A server need not poll a body that says it has ended.
        if H::UNTIL_BODY_END && body.is_end_stream() {
            held.end(End::Completed);
        }
        Self {
            kind: Kind::Inner { body },
            held,
        }
    }

    pub(crate) fn refusal(bytes: Bytes, mut held: Held<H>) -> Self {
        let bytes = Some(bytes).filter(|bytes| !bytes.is_empty());
        if bytes.is_none() {
            held.end(End::Completed);
        }
        Self {
            kind: Kind::Refusal { bytes },
            held,
        }
    }
}

/// Empty; for layers around a guard that answer some requests themselves.
impl<B, H> Default for GuardedBody<B, H>
where
    H: Holds,
{
    fn default() -> Self {
        Self {
            kind: Kind::Refusal { bytes: None },
            held: Held::none(),
        }
    }
}

impl<B, H> Body for GuardedBody<B, H>
where
    B: Body<Data = Bytes>,
    H: Holds,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        match this.kind.project() {
            KindProj::Inner { mut body } => {
                let frame = ready!(body.as_mut().poll_frame(cx));
                if H::UNTIL_BODY_END {
                    observe(this.held, &frame, || body.is_end_stream());
                }
                Poll::Ready(frame)
            }
            KindProj::Refusal { bytes } => {
                this.held.end(End::Completed);
                Poll::Ready(bytes.take().map(Frame::data).map(Ok))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Refusal { bytes } => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Refusal { bytes } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}

fn observe<H, E>(
    held: &mut Held<H>,
    frame: &Option<Result<Frame<Bytes>, E>>,
    ended: impl FnOnce() -> bool,
) where
    H: Holds,
{
    match frame {
        None => held.end(End::Completed),
        Some(Err(_)) => held.end(End::Failed),
        Some(Ok(frame)) => {
            if let Some(trailers) = frame.trailers_ref() {
                held.trailers(trailers);
            }
            // After the last frame many servers ask only this, and drop the body.
            if ended() {
                held.end(End::Completed);
            }
        }
    }
}

impl<B, H> fmt::Debug for GuardedBody<B, H>
where
    H: Holds,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Inner { .. } => "Inner",
            Kind::Refusal { .. } => "Refusal",
        };
        f.debug_tuple("GuardedBody").field(&kind).finish()
    }
}
