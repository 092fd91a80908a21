//! The service of a fence. Its types do not change with the features of the crate.

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use stockade_body::CheckedBody;
use stockade_core::guard::{GuardStack, Guarded, GuardedBody, ResponseFuture};
use tower::Service;

use super::{
    layer::FenceGuards,
    streams::{StreamBody, StreamService},
};

/// The request body of the inner service of a fence, for the server's body type `B`.
pub type FenceBody<B> = CheckedBody<B>;

/// A service protected by a [`Fence`](crate::Fence).
#[derive(Clone)]
pub struct FenceService<S>(pub(super) Guarded<StreamService<S>, FenceGuards>);

impl<S, B, R> Service<Request<B>> for FenceService<S>
where
    S: Service<Request<FenceBody<B>>, Response = Response<R>> + Clone,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    R: Body<Data = Bytes>,
{
    type Response = Response<FenceResponseBody<R>>;
    type Error = S::Error;
    type Future = FenceFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> FenceFuture<S, B> {
        FenceFuture {
            inner: self.0.call(request),
        }
    }
}

impl<S> fmt::Debug for FenceService<S>
where
    S: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

pin_project! {
    /// The response of a [`FenceService`].
    pub struct FenceFuture<S, B>
    where
        StreamService<S>: Service<Request<FenceBody<B>>>,
        B: Body<Data = Bytes>,
        B: Unpin,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        #[pin]
        inner: ResponseFuture<StreamService<S>, FenceGuards, B>,
    }
}

impl<S, B, R> Future for FenceFuture<S, B>
where
    S: Service<Request<FenceBody<B>>, Response = Response<R>>,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<FenceResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(self.project().inner.poll(cx))?;
        Poll::Ready(Ok(response.map(|inner| FenceResponseBody { inner })))
    }
}

impl<S, B> fmt::Debug for FenceFuture<S, B>
where
    StreamService<S>: Service<Request<FenceBody<B>>>,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FenceFuture")
    }
}

type Carried = <FenceGuards as GuardStack>::Carried;

pin_project! {
    /// The response body of a [`FenceService`]: that of the inner service, or a refusal. A stream
    /// ends with an error when its client loses access.
    pub struct FenceResponseBody<R> {
        #[pin]
        inner: GuardedBody<StreamBody<R>, Carried>,
    }
}

/// Empty; for layers around a fence that answer some requests themselves.
impl<R> Default for FenceResponseBody<R> {
    fn default() -> Self {
        Self {
            inner: GuardedBody::default(),
        }
    }
}

impl<R> Body for FenceResponseBody<R>
where
    R: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        self.project().inner.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<R> fmt::Debug for FenceResponseBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FenceResponseBody")
    }
}
