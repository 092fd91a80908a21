//! The tower service of guards.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::guard::{
    GuardStack, GuardedBody, Head, Progress, ResponseFuture, RunGuards, TakeReady,
    future::{Waiting, is_bodiless},
    hook_guard::HookGuard,
    layer::Shared,
    stack::Names,
};

/// A service behind guards; made by [`GuardLayer`](crate::guard::GuardLayer).
pub struct Guarded<S, G> {
    inner: S,
    shared: Arc<Shared<G>>,
}

impl<S, G> Guarded<S, G> {
    pub(crate) fn new(inner: S, shared: Arc<Shared<G>>) -> Self {
        Self { inner, shared }
    }
}

impl<S, G, B, R> Service<Request<B>> for Guarded<S, G>
where
    S: Service<Request<G::Body>, Response = Response<R>>,
    G: RunGuards<B>,
    G::Wait: TakeReady<S>,
    R: Body<Data = Bytes>,
{
    type Response = Response<GuardedBody<R, G::Carried>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, G, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (head, body) = request.into_parts();
        let mut head = Head::new(head);
        let bodiless = is_bodiless(&head);
        let mut held = HookGuard::new();
        let guards = &self.shared.guards;
        let response = match guards.begin(&mut head, body, G::hooks(held.hooks())) {
            Progress::Pass(body) => {
                let future = self
                    .inner
                    .call(Request::from_parts(head.into_parts(), body));
                return ResponseFuture::running(held, future, bodiless);
            }
            Progress::Wait(wait) => {
                head.set_waited();
                let waiting = Waiting {
                    // A clone stays here, and is polled again.
                    inner: wait.take_ready(&mut self.inner),
                    wait,
                    head: Some(head),
                    shared: Arc::clone(&self.shared),
                };
                return ResponseFuture::waiting(held, waiting, bodiless);
            }
            Progress::Refuse(refused) => self.shared.responder.refuse(&refused, &head),
            Progress::Answer(response) => *response,
        };
        ResponseFuture::answered(held, response, bodiless)
    }
}

impl<S, G> Clone for Guarded<S, G>
where
    S: Clone,
{
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S, G> fmt::Debug for Guarded<S, G>
where
    S: fmt::Debug,
    G: GuardStack,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded")
            .field("guards", &Names(&self.shared.guards))
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
