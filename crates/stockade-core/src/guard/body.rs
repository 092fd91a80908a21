//! The response body of a guarded service.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::guard::{HookStack, Outcome, hook_guard::HookGuard};

pin_project! {
    /// The inner service's body, or the bytes of an answer of a guard's.
    ///
    /// Frames, errors, size hint and end of the inner body go through unchanged.
    pub struct GuardedBody<B, H>
    where
        H: HookStack,
    {
        #[pin]
        kind: Kind<B>,
        // Bytes that are still to come, where the body has said how many there are.
        left: Option<u64>,
        // After the kind: what the inner body lets go of is let go of first.
        held: HookGuard<H>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        Inner {
            #[pin]
            body: B,
        },
        Own {
            bytes: Option<Bytes>,
        },
    }
}

impl<B, H> GuardedBody<B, H>
where
    H: HookStack,
{
    pub(crate) fn inner(body: B, mut held: HookGuard<H>) -> Self
    where
        B: Body<Data = Bytes>,
    {
        let mut left = None;
        if H::UNTIL_BODY_END {
            left = body.size_hint().exact();
            // A server need not poll a body that says it has ended.
            if body.is_end_stream() {
                held.end(Outcome::Completed);
            } else if left == Some(0) {
                held.complete();
            }
        }
        Self {
            kind: Kind::Inner { body },
            left,
            held,
        }
    }

    pub(crate) fn own(bytes: Bytes, mut held: HookGuard<H>) -> Self {
        let bytes = Some(bytes).filter(|bytes| !bytes.is_empty());
        if bytes.is_none() {
            held.end(Outcome::Completed);
        }
        Self {
            kind: Kind::Own { bytes },
            left: None,
            held,
        }
    }
}

/// Empty; for layers around a guard that answer some requests themselves.
impl<B, H> Default for GuardedBody<B, H>
where
    H: HookStack,
{
    fn default() -> Self {
        Self {
            kind: Kind::Own { bytes: None },
            left: None,
            held: HookGuard::none(),
        }
    }
}

impl<B, H> Body for GuardedBody<B, H>
where
    B: Body<Data = Bytes>,
    H: HookStack,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        match this.kind.project() {
            KindProj::Inner { body } if !H::UNTIL_BODY_END => body.poll_frame(cx),
            KindProj::Inner { mut body } => {
                this.held.run();
                let frame = body.as_mut().poll_frame(cx);
                this.held.rest();
                let frame = ready!(frame);
                observe(this.held, this.left, &frame, || body.is_end_stream());
                Poll::Ready(frame)
            }
            KindProj::Own { bytes } => {
                let bytes = bytes.take();
                if let Some(bytes) = &bytes {
                    this.held.data(bytes, true);
                }
                this.held.end(Outcome::Completed);
                Poll::Ready(bytes.map(Frame::data).map(Ok))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Own { bytes } => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Own { bytes } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}

/// Shows the holds a frame of the inner body.
fn observe<H, E>(
    held: &mut HookGuard<H>,
    left: &mut Option<u64>,
    frame: &Option<Result<Frame<Bytes>, E>>,
    ended: impl FnOnce() -> bool,
) where
    H: HookStack,
{
    match frame {
        None => held.end(Outcome::Completed),
        Some(Err(_)) => held.end(Outcome::Failed),
        Some(Ok(frame)) => {
            // After the last frame many servers ask only this, and drop the body.
            let ended = ended();
            if let Some(data) = frame.data_ref() {
                held.data(data, ended);
                if let Some(left) = left {
                    *left = left.saturating_sub(data.len() as u64);
                    if *left == 0 {
                        held.complete();
                    }
                }
            } else if let Some(trailers) = frame.trailers_ref() {
                held.trailers(trailers);
            }
            if ended {
                held.end(Outcome::Completed);
            }
        }
    }
}

impl<B, H> fmt::Debug for GuardedBody<B, H>
where
    H: HookStack,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Inner { .. } => "Inner",
            Kind::Own { .. } => "Own",
        };
        f.debug_tuple("GuardedBody").field(&kind).finish()
    }
}
