//! The body that the handler gets.

use std::{
    error::Error,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Limited;
use pin_project_lite::pin_project;
use stockade_core::{
    context::RequestContext,
    guard::{CountedBody, Head},
};

use crate::validator::ValidationOutput;

pin_project! {
    /// A request's body behind the check: the very bytes that were judged, in one frame; or,
    /// for a [streamed](crate::Profile::streamed) one, what comes in up to the limit.
    ///
    /// A streamed body that exceeds its limit fails with
    /// [`LengthLimitError`](http_body_util::LengthLimitError), which axum's extractors turn
    /// into a 413. A judged one never fails.
    pub struct CheckedBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        Judged {
            bytes: Bytes,
        },
        Streamed {
            #[pin]
            body: Limited<CountedBody<B>>,
        },
    }
}

impl<B> CheckedBody<B> {
    /// Says in the head what was found in them.
    pub(crate) fn judged(bytes: Bytes, output: ValidationOutput, head: &mut Head) -> Self {
        output.publish(head);
        Self {
            kind: Kind::Judged { bytes },
        }
    }

    /// Says in the context how much of it was read.
    pub(crate) fn streamed(body: B, limit: u64, context: Option<RequestContext>) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self {
            kind: Kind::Streamed {
                // What is too much is counted, too.
                body: Limited::new(CountedBody::new(body, context), limit),
            },
        }
    }
}

impl<B> Body for CheckedBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.project().kind.project() {
            KindProj::Judged { bytes } => {
                let bytes = std::mem::take(bytes);
                let frame = (!bytes.is_empty()).then(|| Ok(Frame::data(bytes)));
                Poll::Ready(frame)
            }
            KindProj::Streamed { body } => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Judged { bytes } => bytes.is_empty(),
            Kind::Streamed { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Judged { bytes } => SizeHint::with_exact(bytes.len() as u64),
            Kind::Streamed { body } => body.size_hint(),
        }
    }
}

impl<B> fmt::Debug for CheckedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Judged { .. } => "Judged",
            Kind::Streamed { .. } => "Streamed",
        };
        f.debug_tuple("CheckedBody").field(&kind).finish()
    }
}
