//! The inner service of a fence, whose streams end when their clients lose access.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower::Service;

use super::{StreamBody, Streams, Watched, final_event::EventFormat};

/// Inside of all guards, so that they see the last event and the end of a stream. Public because
/// the bounds of [`FenceFuture`](crate::FenceFuture) name it.
#[derive(Clone)]
pub struct StreamService<S> {
    inner: S,
    streams: Streams,
}

impl<S> StreamService<S> {
    pub(in crate::fence) fn new(inner: S, streams: Streams) -> Self {
        Self { inner, streams }
    }
}

impl<S, B, R> Service<Request<B>> for StreamService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body<Data = Bytes>,
{
    type Response = Response<StreamBody<R>>;
    type Error = S::Error;
    type Future = StreamFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> StreamFuture<S::Future> {
        let watched = match self.streams.is_enabled() {
            true => Watched::of(request.extensions()),
            false => None,
        };
        let events = EventFormat::of(&request);
        StreamFuture {
            watched: watched.map(|watched| (self.streams.clone(), watched, events)),
            inner: self.inner.call(request),
        }
    }
}

impl<S> fmt::Debug for StreamService<S>
where
    S: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

pin_project! {
    /// The future of a [`StreamService`].
    pub struct StreamFuture<F> {
        #[pin]
        inner: F,
        watched: Option<(Streams, Watched, EventFormat)>,
    }
}

impl<F, R, E> Future for StreamFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<StreamBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        Poll::Ready(Ok(StreamBody::wrap(response, this.watched.take())))
    }
}
