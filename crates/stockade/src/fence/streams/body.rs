//! The body of a response that may be a stream.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{
    AccessEnded, NAME, Streams, Watched,
    access::Ended,
    final_event::{EventFormat, EventPosition, StreamFormat},
};

pin_project! {
    /// The body of the inner service. A stream ends with an error when its client loses access.
    pub struct StreamBody<R> {
        #[pin]
        inner: Inner<R>,
        // Boxed: most responses are no streams.
        cutter: Option<Box<Cutter>>,
    }
}

pin_project! {
    #[project = InnerProj]
    enum Inner<R> {
        Running {
            #[pin]
            body: R,
        },
        Ended,
    }
}

impl<R> StreamBody<R>
where
    R: Body<Data = Bytes>,
{
    /// Wraps the body of a response; `None` does not watch it.
    pub(super) fn wrap(
        response: Response<R>,
        watched: Option<(Streams, Watched, EventFormat)>,
    ) -> Response<Self> {
        let cutter = watched.and_then(|(streams, watched, events)| {
            let format = StreamFormat::of(&response, events)?;
            Some(Box::new(Cutter {
                streams,
                watched,
                format,
                state: CutterState::Unwatched { has_begun: false },
                position: EventPosition::default(),
                rest: MAX_REST,
            }))
        });
        response.map(|body| Self {
            inner: Inner::Running { body },
            cutter,
        })
    }
}

/// The most bytes of an event that a stream may still send to complete it.
const MAX_REST: usize = 64 * 1024;

/// Ends a stream.
struct Cutter {
    streams: Streams,
    watched: Watched,
    format: StreamFormat,
    state: CutterState,
    position: EventPosition,
    rest: usize,
}

enum CutterState {
    /// Not watched yet: the response of a unary call has one frame and trailers, and no pause.
    Unwatched {
        has_begun: bool,
    },
    Watched(AccessEnded),
    /// Ends after the current event.
    Ending(Ended),
    Ended,
}

impl Cutter {
    /// Whether the stream has to end now or after the current event.
    fn is_ending(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.state {
            CutterState::Unwatched { .. } => false,
            CutterState::Watched(access) => match access.poll_ended(cx) {
                Poll::Pending => false,
                Poll::Ready(ended) => {
                    self.state = CutterState::Ending(ended);
                    true
                }
            },
            CutterState::Ending(_) | CutterState::Ended => true,
        }
    }

    fn watch(&mut self) {
        let access = AccessEnded::new(&self.streams, Some(self.watched.clone()));
        self.state = CutterState::Watched(access);
    }

    fn is_in_event(&self) -> bool {
        matches!(self.format, StreamFormat::Events(_)) && self.position.is_in_event()
    }

    /// Follows a frame that the stream sends.
    fn pass(&mut self, frame: &Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            self.position.push(data);
            if matches!(self.state, CutterState::Ending(_)) {
                self.rest = self.rest.saturating_sub(data.len());
            }
        }
        match &mut self.state {
            CutterState::Unwatched { has_begun: true } => self.watch(),
            CutterState::Unwatched { has_begun } => *has_begun = true,
            CutterState::Watched(_) | CutterState::Ending(_) | CutterState::Ended => {}
        }
    }

    /// Records the end, and returns the last frame.
    fn end(&mut self) -> Option<Frame<Bytes>> {
        let state = std::mem::replace(&mut self.state, CutterState::Ended);
        let CutterState::Ending(Ended { reason, refusal }) = state else {
            return None;
        };
        let context = &self.watched.context;
        if let Some(reserved) = &self.watched.reserved {
            reserved.charge();
        }
        context.refuse(NAME, &refusal);
        metrics::counter!("stockade_streams_cut_total", "reason" => reason).increment(1);
        self.format
            .last_frame(&refusal, context, self.is_in_event())
    }
}

impl<R> Body for StreamBody<R>
where
    R: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        let mut this = self.project();
        let InnerProj::Running { body } = this.inner.as_mut().project() else {
            return Poll::Ready(None);
        };
        let Some(cutter) = this.cutter else {
            return body.poll_frame(cx);
        };
        let is_ending = cutter.is_ending(cx);
        if !is_ending || (cutter.is_in_event() && cutter.rest > 0) {
            match body.poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    cutter.pass(&frame);
                    return Poll::Ready(Some(Ok(frame)));
                }
                // It has ended by itself.
                Poll::Ready(end) => return Poll::Ready(end),
                Poll::Pending if is_ending => {}
                Poll::Pending => {
                    if matches!(cutter.state, CutterState::Unwatched { .. }) {
                        cutter.watch();
                        if cutter.is_ending(cx) {
                            cx.waker().wake_by_ref();
                        }
                    }
                    return Poll::Pending;
                }
            }
        }
        // Cancels the work before its usage is settled.
        this.inner.set(Inner::Ended);
        Poll::Ready(cutter.end().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Running { body } => body.is_end_stream(),
            Inner::Ended => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.inner, &self.cutter) {
            (Inner::Running { body }, None) => body.size_hint(),
            (Inner::Running { .. }, Some(_)) => SizeHint::default(),
            (Inner::Ended, _) => SizeHint::with_exact(0),
        }
    }
}

#[cfg(test)]
impl<R> StreamBody<R> {
    /// Ends the stream as soon as it is polled.
    pub(super) fn end_for_test(&mut self, ended: Ended) {
        let cutter = self.cutter.as_mut().expect("it is a stream");
        cutter.state = CutterState::Ending(ended);
    }

    pub(super) fn inner_for_test(&mut self) -> &mut R {
        match &mut self.inner {
            Inner::Running { body } => body,
            Inner::Ended => panic!("the stream has ended"),
        }
    }
}
