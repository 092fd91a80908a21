//! The driver's future: waits, runs the inner service, or carries a refusal.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Method, Request, Response, request::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{End, GuardedBody, Guards, Holds, Step, guards::Names, held::Held, layer::Shared};

pin_project! {
    /// Resolves to the inner service's response, or to a refusal.
    pub struct ResponseFuture<S, G, B>
    where
        S: Service<Request<B>>,
        G: Guards,
    {
        #[pin]
        state: State<S, G, B>,
        // After the state: what the inner service holds is let go of first.
        held: Held<G::Kept>,
        bodiless: bool,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, G, B>
    where
        S: Service<Request<B>>,
        G: Guards,
    {
        Refused {
            response: Option<Response<Bytes>>,
        },
        Waiting {
            #[pin]
            wait: G::Wait,
            request: Option<(Parts, B)>,
            inner: S,
            shared: Arc<Shared<G>>,
        },
        Running {
            #[pin]
            future: S::Future,
        },
    }
}

impl<S, G, B> ResponseFuture<S, G, B>
where
    S: Service<Request<B>>,
    G: Guards,
{
    pub(crate) fn refused(held: Held<G::Kept>, response: Response<Bytes>, head: &Parts) -> Self {
        Self {
            state: State::refused(response),
            held,
            bodiless: head.method == Method::HEAD,
        }
    }

    pub(crate) fn waiting(
        held: Held<G::Kept>,
        wait: G::Wait,
        head: Parts,
        body: B,
        inner: S,
        shared: Arc<Shared<G>>,
    ) -> Self {
        Self {
            held,
            bodiless: head.method == Method::HEAD,
            state: State::Waiting {
                wait,
                request: Some((head, body)),
                inner,
                shared,
            },
        }
    }

    pub(crate) fn admitted(held: Held<G::Kept>, head: Parts, body: B, inner: &mut S) -> Self {
        Self {
            bodiless: head.method == Method::HEAD,
            state: State::admitted(head, body, inner),
            held,
        }
    }
}

impl<S, G, B> State<S, G, B>
where
    S: Service<Request<B>>,
    G: Guards,
{
    fn refused(response: Response<Bytes>) -> Self {
        Self::Refused {
            response: Some(response),
        }
    }

    /// Calls the inner service, which was made ready.
    fn admitted(head: Parts, body: B, inner: &mut S) -> Self {
        Self::Running {
            future: inner.call(Request::from_parts(head, body)),
        }
    }
}

impl<S, G, B, R> Future for ResponseFuture<S, G, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    G: Guards,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<GuardedBody<R, G::Kept>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (held, bodiless) = (this.held, *this.bodiless);
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Running { future } => {
                    return Poll::Ready(match ready!(future.poll(cx)) {
                        Ok(response) => Ok(answer(response, held, bodiless, GuardedBody::inner)),
                        Err(error) => {
                            held.end(End::Failed);
                            Err(error)
                        }
                    });
                }
                StateProj::Refused { response } => {
                    let response = response.take().expect("polled after it was ready");
                    let response = answer(response, held, bodiless, GuardedBody::refusal);
                    return Poll::Ready(Ok(response));
                }
                StateProj::Waiting {
                    mut wait,
                    request,
                    inner,
                    shared,
                } => {
                    let (head, _) = request.as_mut().expect("polled after it was ready");
                    let step =
                        shared
                            .guards
                            .resume(wait.as_mut(), cx, head, G::slots(held.slots()));
                    match ready!(step) {
                        Step::Wait(next) => {
                            wait.set(next);
                            continue;
                        }
                        Step::Refuse(refused) => {
                            State::refused(shared.responder.refuse(&refused, head))
                        }
                        Step::Pass => {
                            let (head, body) = request.take().expect("it was just there");
                            State::admitted(head, body, inner)
                        }
                    }
                }
            };
            this.state.set(next);
        }
    }
}

/// Shows the holds the response's head and hands them on to the body.
fn answer<T, R, H>(
    mut response: Response<T>,
    held: &mut Held<H>,
    bodiless: bool,
    body: impl FnOnce(T, Held<H>) -> GuardedBody<R, H>,
) -> Response<GuardedBody<R, H>>
where
    H: Holds,
{
    held.head(response.status(), response.headers_mut());
    if bodiless {
        // The server drops the body of an answer to HEAD unread; that is not a client
        // who left.
        held.end(End::Completed);
    }
    let held = held.take();
    response.map(|inner| body(inner, held))
}

impl<S, G, B> fmt::Debug for ResponseFuture<S, G, B>
where
    S: Service<Request<B>>,
    G: Guards,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ResponseFuture")
            .field(&Names::<G>::new())
            .finish()
    }
}
