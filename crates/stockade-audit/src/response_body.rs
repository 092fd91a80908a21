//! The response's body, watched to its end.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Method;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::exchange::Exchange;

pin_project! {
    /// The inner service's body, or the bytes of a refusal. The request's record is
    /// written when it has ended, failed, or is dropped.
    ///
    /// Frames, errors, size hint and end of the inner body go through unchanged.
    pub struct ResponseBody<B> {
        #[pin]
        kind: Kind<B>,
        // Bytes after which the body is complete, where it has said so.
        expected: Option<u64>,
        // After the kind: what the inner body notes when it is dropped is recorded.
        exchange: Option<Exchange>,
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

impl<B> ResponseBody<B>
where
    B: Body<Data = Bytes>,
{
    pub(crate) fn inner(body: B, exchange: Exchange) -> Self {
        Self::new(Kind::Inner { body }, exchange)
    }

    pub(crate) fn refusal(bytes: Bytes, exchange: Exchange) -> Self {
        let bytes = Some(bytes).filter(|bytes| !bytes.is_empty());
        Self::new(Kind::Refusal { bytes }, exchange)
    }

    fn new(kind: Kind<B>, mut exchange: Exchange) -> Self {
        // The server drops the body of an answer to HEAD unread, and need not poll one
        // that says it has ended.
        let ended = exchange.facts.method == Method::HEAD || kind.is_end_stream();
        if ended {
            exchange.complete();
        }
        Self {
            expected: kind.size_hint().exact(),
            kind,
            exchange: Some(exchange).filter(|_| !ended),
        }
    }
}

impl<B> Kind<B>
where
    B: Body<Data = Bytes>,
{
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project() {
            KindProj::Inner { body } => body.poll_frame(cx),
            KindProj::Refusal { bytes } => Poll::Ready(bytes.take().map(Frame::data).map(Ok)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Inner { body } => body.is_end_stream(),
            Self::Refusal { bytes } => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Inner { body } => body.size_hint(),
            Self::Refusal { bytes } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let Some(exchange) = this.exchange else {
            return this.kind.poll_frame(cx);
        };
        let frame = ready!(exchange.run(|| this.kind.as_mut().poll_frame(cx)));
        let ended = match &frame {
            None => {
                exchange.complete();
                true
            }
            Some(Err(_)) => {
                exchange.fail();
                true
            }
            Some(Ok(frame)) => {
                // A server that knows the length need not ask again after the last byte,
                // and many ask only for the end after the last frame.
                let ended = this.kind.is_end_stream();
                exchange.frame(frame, ended);
                if ended || *this.expected == Some(exchange.facts.bytes_out()) {
                    exchange.complete();
                }
                ended
            }
        };
        if ended {
            *this.exchange = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.kind.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.kind.size_hint()
    }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}
