//! The service's future: reads and judges the body, then runs the inner service.

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{CheckedBody, Profile, ResponseBody, layer::Shared, reader::Reader, verdict};

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
        Reading {
            #[pin]
            reader: Reader<B>,
            head: Option<Parts>,
            profile: Arc<Profile>,
            inner: S,
            shared: Arc<Shared>,
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
    B: Body<Data = Bytes>,
{
    pub(crate) fn refused(response: Response<Bytes>) -> Self {
        Self {
            state: State::refused(response),
        }
    }

    pub(crate) fn reading(
        head: Parts,
        body: B,
        profile: Arc<Profile>,
        limit: u64,
        inner: S,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            state: State::Reading {
                reader: Reader::new(body, limit, shared.rules.pace(), &shared.memory),
                head: Some(head),
                profile,
                inner,
                shared,
            },
        }
    }

    pub(crate) fn running(future: S::Future) -> Self {
        Self {
            state: State::Running { future },
        }
    }
}

impl<S, B> State<S, B>
where
    S: Service<Request<CheckedBody<B>>>,
{
    fn refused(response: Response<Bytes>) -> Self {
        let response = Some(response);
        Self::Refused { response }
    }
}

impl<S, B, R> Future for ResponseFuture<S, B>
where
    S: Service<Request<CheckedBody<B>>, Response = Response<R>>,
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Refused { response } => {
                    let response = response.take().expect("polled after it was ready");
                    return Poll::Ready(Ok(response.map(ResponseBody::refusal)));
                }
                StateProj::Reading {
                    reader,
                    head,
                    profile,
                    inner,
                    shared,
                } => {
                    let read = ready!(reader.poll_read(cx));
                    let mut head = head.take().expect("polled after it was ready");
                    let judged = read.and_then(|body| {
                        let findings = verdict::of_body(profile, &shared.memory, &head, &body)?;
                        Ok((findings, body))
                    });
                    match judged {
                        Ok((findings, body)) => {
                            findings.tell(&mut head.extensions);
                            let body = CheckedBody::judged(body);
                            State::Running {
                                future: inner.call(Request::from_parts(head, body)),
                            }
                        }
                        Err(refusal) => State::refused(shared.refuse(&refusal, &head)),
                    }
                }
                StateProj::Running { future } => {
                    return future
                        .poll(cx)
                        .map_ok(|response| response.map(ResponseBody::inner));
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
