//! A request whose body is not there yet, or takes long to judge.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::Body;
use stockade_core::Refusal;

use crate::{
    CheckedBody, Profile,
    judge::Findings,
    judging::{self, Judged, Verdict},
    layer::Shared,
    patience::Patience,
    reader::Reader,
    refusal,
};

/// A request whose body is not there yet, or takes long to judge.
pub(crate) struct Waiting<S, B> {
    pub(crate) head: Option<Parts>,
    pub(crate) step: Step<B>,
    pub(crate) profile: Arc<Profile>,
    /// The service that was polled ready.
    pub(crate) inner: S,
    pub(crate) shared: Arc<Shared>,
}

pub(crate) enum Step<B> {
    Reading(Reader<B>, Patience),
    Judging(Bytes, Verdict),
}

impl<S, B> Waiting<S, B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// The request as the inner service gets it, or the answer to it.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Request<CheckedBody<B>>, Response<Bytes>>> {
        let passed = ready!(self.poll_passed(cx));
        let head = self.head.take().expect("polled after it was ready");
        Poll::Ready(match passed {
            Ok((body, findings)) => Ok(hand_on(head, body, findings)),
            Err(refusal) => Err(self.shared.refuse(&refusal, &head)),
        })
    }

    fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(Bytes, Findings), Refusal>> {
        loop {
            match &mut self.step {
                Step::Reading(reader, patience) => {
                    let Poll::Ready(body) = reader.poll_read(cx) else {
                        let cause = ready!(patience.poll_late(cx, reader.len()));
                        return Poll::Ready(Err(refusal::too_slow(cause)));
                    };
                    let body = body?;
                    let head = self.head.as_ref().expect("polled after it was ready");
                    match judging::judge(&self.shared, &self.profile, head, &body) {
                        Judged::Passed(findings) => return Poll::Ready(Ok((body, findings))),
                        Judged::Refused(refusal) => return Poll::Ready(Err(refusal)),
                        Judged::Later(verdict) => self.step = Step::Judging(body, verdict),
                    }
                }
                Step::Judging(body, verdict) => {
                    let findings = ready!(verdict.as_mut().poll(cx));
                    let body = std::mem::take(body);
                    return Poll::Ready(findings.map(|findings| (body, findings)));
                }
            }
        }
    }
}

/// The request as the inner service gets it.
pub(crate) fn hand_on<B>(
    mut head: Parts,
    body: Bytes,
    findings: Findings,
) -> Request<CheckedBody<B>> {
    findings.tell(&mut head.extensions);
    Request::from_parts(head, CheckedBody::judged(body))
}
