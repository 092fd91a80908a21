//! The tower service.

use std::{
    error::Error,
    fmt, mem,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{
    CheckedBody, ResponseBody, ResponseFuture,
    judging::{self, Judged},
    layer::Shared,
    patience::Patience,
    profile::Form,
    reader::Reader,
    verdict,
    waiting::{Step, Waiting, hand_on},
};

/// A service behind a body check; made by [`BodyCheckLayer`](crate::BodyCheckLayer).
#[derive(Clone)]
pub struct BodyCheck<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> BodyCheck<S> {
    pub(crate) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<S, B, R> Service<Request<B>> for BodyCheck<S>
where
    S: Service<Request<CheckedBody<B>>, Response = Response<R>> + Clone,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (head, body) = request.into_parts();
        let Shared { rules, memory, .. } = &*self.shared;
        let profile = rules.profile(&head);
        let limit = rules.limit(profile);
        let verdict = verdict::of_head(profile, limit, memory, &head, &body.size_hint());
        if let Err(refusal) = verdict {
            return ResponseFuture::refused(self.shared.refuse(&refusal, &head));
        }
        if profile.form == Form::Streamed {
            let body = CheckedBody::streamed(body, limit);
            return ResponseFuture::running(self.inner.call(Request::from_parts(head, body)));
        }
        let refuse =
            |refusal, head: &_| ResponseFuture::refused(self.shared.refuse(&refusal, head));
        // Most bodies are there when their head is. Then nothing waits, so nobody need be
        // woken, and nothing has to be kept for later.
        let mut reader = Reader::new(body, limit, memory);
        let step = match reader.poll_read(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Step::Reading(reader, Patience::new(rules.pace())),
            Poll::Ready(Err(refusal)) => return refuse(refusal, &head),
            Poll::Ready(Ok(body)) => match judging::judge(&self.shared, profile, &head, &body) {
                Judged::Passed(findings) => {
                    let request = hand_on(head, body, findings);
                    return ResponseFuture::running(self.inner.call(request));
                }
                Judged::Refused(refusal) => return refuse(refusal, &head),
                Judged::Later(verdict) => Step::Judging(body, verdict),
            },
        };
        // The instance that was polled ready goes with the future; the clone stays here and
        // will be polled anew.
        let clone = self.inner.clone();
        ResponseFuture::waiting(Waiting {
            head: Some(head),
            step,
            profile: Arc::clone(profile),
            inner: mem::replace(&mut self.inner, clone),
            shared: Arc::clone(&self.shared),
        })
    }
}

impl<S> fmt::Debug for BodyCheck<S>
where
    S: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyCheck")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
