//! The tower service of a guard.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{Check, Guard, GuardedBody, ResponseFuture, layer::Shared};

/// A service behind a [`Guard`]; made by [`GuardLayer`](crate::GuardLayer).
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
    S: Service<Request<B>, Response = Response<R>> + Clone,
    G: Guard,
    R: Body<Data = Bytes>,
{
    type Response = Response<GuardedBody<R, G::Hold>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, G, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (head, body) = request.into_parts();
        match self.shared.guard.check(&head) {
            Check::Pass(pass) => {
                let guard = &self.shared.guard;
                ResponseFuture::admitted(guard, pass, head, body, &mut self.inner)
            }
            Check::Refuse(refusal) => {
                ResponseFuture::refused(self.shared.responder.refuse::<G>(&refusal, &head))
            }
            Check::Wait(wait) => {
                // The instance that was polled ready goes with the future; the clone
                // stays here and will be polled anew.
                let clone = self.inner.clone();
                let ready = mem::replace(&mut self.inner, clone);
                ResponseFuture::waiting(wait, head, body, ready, Arc::clone(&self.shared))
            }
        }
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
    G: Guard,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded")
            .field("guard", &G::NAME)
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
