//! The tower service.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use stockade_core::{Refusal, RefusalKind, RequestContext};
use tower_service::Service;

use crate::{
    RequestBody, ResponseBody, ResponseFuture, exchange::Exchange, journal::Admission,
    layer::Shared,
};

/// A service whose requests are recorded; made by [`AuditLayer`](crate::AuditLayer).
#[derive(Clone, Debug)]
pub struct Audit<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Audit<S> {
    pub(crate) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<S, B, R> Service<Request<B>> for Audit<S>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone,
    B: Body,
    R: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let mut exchange = Exchange::begin(&self.shared, &mut head);
        match self.shared.log.admission() {
            Admission::Go => {
                let body = RequestBody::new(body, &exchange);
                let future = self.inner.call(Request::from_parts(head, body));
                ResponseFuture::running(future, exchange)
            }
            Admission::Wait { at_most } => {
                // The instance that was polled ready goes with the future; the clone
                // stays here and will be polled anew.
                let clone = self.inner.clone();
                let ready = mem::replace(&mut self.inner, clone);
                let room = self.shared.log.clone().room();
                let wait = Box::pin(tokio::time::timeout(at_most, room));
                ResponseFuture::waiting(wait, Request::from_parts(head, body), ready, exchange)
            }
            Admission::Refuse => {
                let refusal = unwritable();
                if let Some(context) = RequestContext::of(&head.extensions) {
                    context.refuse("audit", &refusal);
                }
                let response = self.shared.responder.respond(&refusal, &head);
                exchange.head(response.status(), response.headers());
                ResponseFuture::refused(response, exchange)
            }
        }
    }
}

fn unwritable() -> Refusal {
    Refusal::new(
        RefusalKind::Unavailable,
        "the server cannot keep its records now; try again later",
    )
    .with_code("AUDIT_UNAVAILABLE")
    .because("the audit log cannot be written")
    .retry_after(std::time::Duration::from_secs(1))
}
