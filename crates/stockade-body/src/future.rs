//! The service's future: waits for the body, where it has to, then runs the inner service.

use std::{
    error::Error,
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

use crate::{CheckedBody, ResponseBody, waiting::Waiting};

pin_project! {
    /// Resolves to the inner service's response, or to a refusal.
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<CheckedBody<B>>>,
    {
        #[pin]
        state: State<S, B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, B>
    where
        S: Service<Request<CheckedBody<B>>>,
    {
        Refused {
            response: Option<Response<Bytes>>,
        },
        // Boxed: it is much larger than the others, and most requests never wait.
        Waiting {
            waiting: Box<Waiting<S, B>>,
        },
        Running {
            #[pin]
            future: S::Future,
        },
    }
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<CheckedBody<B>>>,
{
    pub(crate) fn refused(response: Response<Bytes>) -> Self {
        let response = Some(response);
        Self {
            state: State::Refused { response },
        }
    }

    pub(crate) fn waiting(waiting: Waiting<S, B>) -> Self {
        let waiting = Box::new(waiting);
        Self {
            state: State::Waiting { waiting },
        }
    }

    pub(crate) fn running(future: S::Future) -> Self {
        Self {
            state: State::Running { future },
        }
    }
}

impl<S, B, R> Future for ResponseFuture<S, B>
where
    S: Service<Request<CheckedBody<B>>, Response = Response<R>>,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Running { future } => {
                    return future
                        .poll(cx)
                        .map_ok(|response| response.map(ResponseBody::inner));
                }
                StateProj::Waiting { waiting } => match ready!(waiting.poll(cx)) {
                    Ok(request) => State::Running {
                        future: waiting.inner.call(request),
                    },
                    Err(response) => State::Refused {
                        response: Some(response),
                    },
                },
                StateProj::Refused { response } => {
                    let response = response.take().expect("polled after it was ready");
                    return Poll::Ready(Ok(response.map(ResponseBody::refusal)));
                }
            };
            state.set(next);
        }
    }
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<CheckedBody<B>>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
