//! The driver's future: waits, runs the inner service, or carries an answer of a guard's.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::guard::{
    GuardedBody, Head, HookStack, Outcome, Progress, RunGuards, hook_guard::HookGuard,
    layer::Shared,
};

pin_project! {
    /// Resolves to the inner service's response, or to a guard's.
    pub struct ResponseFuture<S, G, B>
    where
        S: Service<Request<G::Body>>,
        G: RunGuards<B>,
    {
        #[pin]
        state: State<S, G, B>,
        // After the state: what the inner service holds is let go of first.
        held: HookGuard<G::Carried>,
        bodiless: bool,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, G, B>
    where
        S: Service<Request<G::Body>>,
        G: RunGuards<B>,
    {
        Answered {
            response: Option<Response<Bytes>>,
        },
        // Boxed: it is much larger than the others, and most requests never wait.
        Waiting {
            waiting: Pin<Box<Waiting<S, G, B>>>,
        },
        Running {
            #[pin]
            future: S::Future,
        },
    }
}

pin_project! {
    /// A request that waits.
    pub(crate) struct Waiting<S, G, B>
    where
        G: RunGuards<B>,
    {
        #[pin]
        pub(crate) wait: G::Wait,
        pub(crate) head: Option<Head>,
        // The service that was polled ready.
        pub(crate) inner: S,
        pub(crate) shared: Arc<Shared<G>>,
    }
}

const ONCE: &str = "polled after it was ready";

impl<S, G, B> ResponseFuture<S, G, B>
where
    S: Service<Request<G::Body>>,
    G: RunGuards<B>,
{
    pub(crate) fn answered(
        held: HookGuard<G::Carried>,
        response: Response<Bytes>,
        bodiless: bool,
    ) -> Self {
        let response = Some(response);
        Self::new(State::Answered { response }, held, bodiless)
    }

    pub(crate) fn waiting(
        held: HookGuard<G::Carried>,
        waiting: Waiting<S, G, B>,
        bodiless: bool,
    ) -> Self {
        let waiting = Box::pin(waiting);
        Self::new(State::Waiting { waiting }, held, bodiless)
    }

    pub(crate) fn running(held: HookGuard<G::Carried>, future: S::Future, bodiless: bool) -> Self {
        Self::new(State::Running { future }, held, bodiless)
    }

    fn new(state: State<S, G, B>, mut held: HookGuard<G::Carried>, bodiless: bool) -> Self {
        held.rest();
        Self {
            state,
            held,
            bodiless,
        }
    }
}

/// Whether the answer's body is not sent.
pub(crate) fn is_bodiless(head: &Head) -> bool {
    head.method == Method::HEAD
}

impl<S, G, B> Waiting<S, G, B>
where
    S: Service<Request<G::Body>>,
    G: RunGuards<B>,
{
    /// The next state of the request, once it no longer waits.
    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        held: &mut HookGuard<G::Carried>,
    ) -> Poll<State<S, G, B>> {
        let mut this = self.project();
        let head = this.head.as_mut().expect(ONCE);
        let guards = &this.shared.guards;
        loop {
            let slots = G::hooks(held.hooks());
            let response = match ready!(guards.resume(this.wait.as_mut(), cx, head, slots)) {
                Progress::Wait(next) => {
                    this.wait.set(next);
                    continue;
                }
                Progress::Pass(body) => {
                    let head = this.head.take().expect(ONCE);
                    let future = this
                        .inner
                        .call(Request::from_parts(head.into_parts(), body));
                    return Poll::Ready(State::Running { future });
                }
                Progress::Refuse(refused) => this.shared.responder.refuse(&refused, head),
                Progress::Answer(response) => *response,
            };
            let response = Some(response);
            return Poll::Ready(State::Answered { response });
        }
    }
}

impl<S, G, B, R> Future for ResponseFuture<S, G, B>
where
    S: Service<Request<G::Body>, Response = Response<R>>,
    G: RunGuards<B>,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<GuardedBody<R, G::Carried>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (held, bodiless) = (this.held, *this.bodiless);
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Running { future } => {
                    held.run();
                    let result = future.poll(cx);
                    held.rest();
                    return Poll::Ready(match ready!(result) {
                        Ok(response) => Ok(answer(response, held, bodiless, GuardedBody::inner)),
                        Err(error) => {
                            held.end(Outcome::Failed);
                            Err(error)
                        }
                    });
                }
                StateProj::Answered { response } => {
                    let response = response.take().expect(ONCE);
                    return Poll::Ready(Ok(answer(response, held, bodiless, GuardedBody::own)));
                }
                StateProj::Waiting { waiting } => {
                    held.run();
                    let next = waiting.as_mut().poll(cx, held);
                    held.rest();
                    ready!(next)
                }
            };
            this.state.set(next);
        }
    }
}

/// Shows the holds the response's head and hands them on to the body.
fn answer<T, R, H>(
    mut response: Response<T>,
    held: &mut HookGuard<H>,
    bodiless: bool,
    body: impl FnOnce(T, HookGuard<H>) -> GuardedBody<R, H>,
) -> Response<GuardedBody<R, H>>
where
    H: HookStack,
{
    held.head(response.status(), response.headers_mut());
    if bodiless {
        // The server drops the body of an answer to HEAD unread; that is not a client
        // who left.
        held.end(Outcome::Completed);
    }
    let held = held.take();
    response.map(|inner| body(inner, held))
}

impl<S, G, B> fmt::Debug for ResponseFuture<S, G, B>
where
    S: Service<Request<G::Body>>,
    G: RunGuards<B>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
