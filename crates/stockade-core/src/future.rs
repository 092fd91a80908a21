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

use crate::{End, Guard, GuardedBody, Hold, hold::Held, layer::Shared};

pin_project! {
    /// Resolves to the inner service's response, or to a refusal.
    pub struct ResponseFuture<S, G, B>
    where
        S: Service<Request<B>>,
        G: Guard,
    {
        #[pin]
        state: State<S, G, B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, G, B>
    where
        S: Service<Request<B>>,
        G: Guard,
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
            held: Held<G::Hold>,
            bodiless: bool,
        },
    }
}

impl<S, G, B> ResponseFuture<S, G, B>
where
    S: Service<Request<B>>,
    G: Guard,
{
    pub(crate) fn refused(response: Response<Bytes>) -> Self {
        let response = Some(response);
        Self {
            state: State::Refused { response },
        }
    }

    pub(crate) fn waiting(
        wait: G::Wait,
        head: Parts,
        body: B,
        inner: S,
        shared: Arc<Shared<G>>,
    ) -> Self {
        Self {
            state: State::Waiting {
                wait,
                request: Some((head, body)),
                inner,
                shared,
            },
        }
    }

    pub(crate) fn admitted(guard: &G, pass: G::Pass, head: Parts, body: B, inner: &mut S) -> Self {
        Self {
            state: State::admitted(guard, pass, head, body, inner),
        }
    }
}

impl<S, G, B> State<S, G, B>
where
    S: Service<Request<B>>,
    G: Guard,
{
    /// Lets a request in and calls the inner service, which was made ready.
    fn admitted(guard: &G, pass: G::Pass, mut head: Parts, body: B, inner: &mut S) -> Self {
        let bodiless = head.method == Method::HEAD;
        let hold = guard.admit(pass, &mut head);
        Self::Running {
            future: inner.call(Request::from_parts(head, body)),
            held: Held::new(hold),
            bodiless,
        }
    }
}

impl<S, G, B, R> Future for ResponseFuture<S, G, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    G: Guard,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<GuardedBody<R, G::Hold>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Refused { response } => {
                    let response = response.take().expect("polled after it was ready");
                    return Poll::Ready(Ok(response.map(GuardedBody::refusal)));
                }
                StateProj::Waiting {
                    wait,
                    request,
                    inner,
                    shared,
                } => {
                    let verdict = ready!(wait.poll(cx));
                    let (head, body) = request.take().expect("polled after it was ready");
                    match verdict {
                        Ok(pass) => State::admitted(&shared.guard, pass, head, body, inner),
                        Err(refusal) => State::Refused {
                            response: Some(shared.responder.refuse::<G>(&refusal, &head)),
                        },
                    }
                }
                StateProj::Running {
                    future,
                    held,
                    bodiless,
                } => {
                    return Poll::Ready(match ready!(future.poll(cx)) {
                        Ok(response) => Ok(answer(response, held, *bodiless)),
                        Err(error) => {
                            held.end(End::Failed);
                            Err(error)
                        }
                    });
                }
            };
            state.set(next);
        }
    }
}

/// Shows the hold the response's head and hands it on to the body.
fn answer<R, H>(
    mut response: Response<R>,
    held: &mut Held<H>,
    bodiless: bool,
) -> Response<GuardedBody<R, H>>
where
    R: Body<Data = Bytes>,
    H: Hold,
{
    held.head(response.status(), response.headers_mut());
    if !H::UNTIL_BODY_END {
        held.release();
    } else if bodiless {
        // The server drops the body of an answer to HEAD unread; that is not a client
        // who left.
        held.end(End::Completed);
    }
    let held = held.take();
    response.map(|body| GuardedBody::inner(body, held))
}

impl<S, G, B> fmt::Debug for ResponseFuture<S, G, B>
where
    S: Service<Request<B>>,
    G: Guard,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("guard", &G::NAME)
            .finish_non_exhaustive()
    }
}
