//! The request body that the handler receives.

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
    /// The request body behind the check: the validated bytes in one frame, or, for a
    /// [streamed](crate::Profile::streamed) profile, the frames of the client up to the size
    /// limit.
    ///
    /// A streamed body that exceeds its limit fails with
    /// [`LengthLimitError`](http_body_util::LengthLimitError), which axum's extractors turn
    /// into a 413. A validated body never fails.
    pub struct CheckedBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        Validated {
            bytes: Bytes,
        },
        Streamed {
            #[pin]
            body: Limited<CountedBody<B>>,
        },
    }
}

impl<B> CheckedBody<B> {
    /// Wraps validated bytes and publishes what validation found in the head.
    pub(crate) fn validated(bytes: Bytes, output: ValidationOutput, head: &mut Head) -> Self {
        output.publish(head);
        Self {
            kind: Kind::Validated { bytes },
        }
    }

    /// Wraps a body that is passed through, and counts its bytes in the context.
    pub(crate) fn streamed(body: B, limit: u64, context: RequestContext) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self {
            kind: Kind::Streamed {
                // The counter sits inside the limit, so bytes over the limit are counted as
                // well.
                body: Limited::new(CountedBody::new(body, Some(context)), limit),
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
            KindProj::Validated { bytes } => {
                let bytes = std::mem::take(bytes);
                let frame = (!bytes.is_empty()).then(|| Ok(Frame::data(bytes)));
                Poll::Ready(frame)
            }
            KindProj::Streamed { body } => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Validated { bytes } => bytes.is_empty(),
            Kind::Streamed { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Validated { bytes } => SizeHint::with_exact(bytes.len() as u64),
            Kind::Streamed { body } => body.size_hint(),
        }
    }
}

impl<B> fmt::Debug for CheckedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Validated { .. } => "Validated",
            Kind::Streamed { .. } => "Streamed",
        };
        f.debug_tuple("CheckedBody").field(&kind).finish()
    }
}
