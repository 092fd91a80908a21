//! The future of a recorded request.

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
use tower_service::Service;

use crate::{RequestBody, ResponseBody, exchange::Exchange};

pin_project! {
    /// Resolves to the inner service's response, or to a 503 where the log cannot be
    /// written and requests without a record are not wanted.
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<RequestBody<B>>>,
    {
        #[pin]
        state: State<S, B>,
        // After the state: what the inner service notes when it is dropped is recorded.
        exchange: Option<Exchange>,
    }
}

/// Waits until the log has room, or long enough.
type Wait = Pin<Box<dyn Future<Output = Result<(), tokio::time::error::Elapsed>> + Send>>;

/// A request at the door.
struct Waiting<S, B> {
    wait: Wait,
    request: Request<B>,
    inner: S,
}

// What is rare is boxed, so that it makes the future of no other request larger.
pin_project! {
    #[project = StateProj]
    enum State<S, B>
    where
        S: Service<Request<RequestBody<B>>>,
    {
        Refused {
            response: Option<Box<Response<Bytes>>>,
        },
        Waiting {
            waiting: Option<Box<Waiting<S, B>>>,
        },
        Running {
            #[pin]
            future: S::Future,
        },
    }
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<RequestBody<B>>>,
{
    pub(crate) fn running(future: S::Future, exchange: Exchange) -> Self {
        Self::new(State::Running { future }, exchange)
    }

    pub(crate) fn waiting(wait: Wait, request: Request<B>, inner: S, exchange: Exchange) -> Self {
        let waiting = Waiting {
            wait,
            request,
            inner,
        };
        let waiting = Some(Box::new(waiting));
        Self::new(State::Waiting { waiting }, exchange)
    }

    pub(crate) fn refused(response: Response<Bytes>, exchange: Exchange) -> Self {
        let response = Some(Box::new(response));
        Self::new(State::Refused { response }, exchange)
    }

    fn new(state: State<S, B>, mut exchange: Exchange) -> Self {
        exchange.rest();
        Self {
            state,
            exchange: Some(exchange),
        }
    }
}

impl<S, B, R> Future for ResponseFuture<S, B>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>>,
    B: Body,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const ONCE: &str = "polled after it was ready";
        let mut this = self.project();
        let exchange = this.exchange.as_mut().expect(ONCE);
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Refused { response } => {
                    let response = response.take().expect(ONCE);
                    let exchange = this.exchange.take().expect(ONCE);
                    return Poll::Ready(Ok(
                        response.map(|bytes| ResponseBody::refusal(bytes, exchange))
                    ));
                }
                StateProj::Waiting { waiting } => {
                    // Whoever has waited long enough is let in as well.
                    let _ = ready!(waiting.as_mut().expect(ONCE).wait.as_mut().poll(cx));
                    let Waiting {
                        request, mut inner, ..
                    } = *waiting.take().expect(ONCE);
                    let request = request.map(|body| RequestBody::new(body, exchange));
                    State::Running {
                        future: exchange.run(|| inner.call(request)),
                    }
                }
                StateProj::Running { future } => {
                    let result = ready!(exchange.run(|| future.poll(cx)));
                    let mut exchange = this.exchange.take().expect(ONCE);
                    return Poll::Ready(match result {
                        Ok(response) => {
                            exchange.head(response.status(), response.headers());
                            Ok(response.map(|body| ResponseBody::inner(body, exchange)))
                        }
                        Err(error) => {
                            exchange.fail();
                            Err(error)
                        }
                    });
                }
            };
            this.state.set(next);
        }
    }
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<RequestBody<B>>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
