//! A body that is not there yet, or takes long to judge.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::Body;
use stockade_core::{guard::Head, refusal::Refusal};

use crate::{
    CheckedBody, Profile,
    check::Shared,
    judging::{self, Judged, Verdict},
    patience::Patience,
    reader::Reader,
    refusal,
};

/// A body that is not there yet, or takes long to judge.
pub struct Waiting<B> {
    step: Step<B>,
    profile: Arc<Profile>,
}

pub(crate) enum Step<B> {
    Reading(Reader<B>, Patience),
    Judging(Bytes, Verdict),
}

impl<B> Waiting<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    pub(crate) fn new(step: Step<B>, profile: Arc<Profile>) -> Self {
        Self { step, profile }
    }

    pub(crate) fn poll(
        &mut self,
        shared: &Arc<Shared>,
        cx: &mut Context<'_>,
        head: &mut Head,
    ) -> Poll<Result<CheckedBody<B>, Refusal>> {
        loop {
            match &mut self.step {
                Step::Reading(reader, patience) => {
                    let Poll::Ready(body) = reader.poll_read(cx, head) else {
                        let cause = ready!(patience.poll_late(cx, reader.len()));
                        return Poll::Ready(Err(refusal::too_slow(cause)));
                    };
                    let body = body?;
                    match judging::judge(shared, &self.profile, head, &body) {
                        Judged::Passed(findings) => {
                            return Poll::Ready(Ok(CheckedBody::judged(body, findings, head)));
                        }
                        Judged::Refused(refusal) => return Poll::Ready(Err(refusal)),
                        Judged::Later(verdict) => self.step = Step::Judging(body, verdict),
                    }
                }
                Step::Judging(body, verdict) => {
                    let findings = ready!(verdict.as_mut().poll(cx));
                    let body = mem::take(body);
                    return Poll::Ready(findings.map(|it| CheckedBody::judged(body, it, head)));
                }
            }
        }
    }
}

impl<B> fmt::Debug for Waiting<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiting")
    }
}
