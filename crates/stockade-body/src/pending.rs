//! The state of a body that is being read or validated.

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
    body_reader::BodyReader,
    offload::{self, Validation, ValidationFuture},
    read_timer::ReadTimer,
    refusal,
    shared::Shared,
};

/// The state of a body that is being read or validated.
pub struct PendingBody<B> {
    step: PendingState<B>,
    profile: Arc<Profile>,
}

pub(crate) enum PendingState<B> {
    Reading(BodyReader<B>, ReadTimer),
    Validating(Bytes, ValidationFuture),
}

impl<B> PendingBody<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    pub(crate) fn new(step: PendingState<B>, profile: Arc<Profile>) -> Self {
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
                PendingState::Reading(reader, timer) => {
                    let Poll::Ready(body) = reader.poll_read(cx, head, &shared.memory) else {
                        let cause = ready!(timer.poll_expired(cx, reader.len()));
                        return Poll::Ready(Err(refusal::too_slow(cause)));
                    };
                    let body = body?;
                    match offload::validate(shared, &self.profile, head, &body) {
                        Validation::Passed(output) => {
                            return Poll::Ready(Ok(CheckedBody::validated(body, output, head)));
                        }
                        Validation::Refused(refusal) => return Poll::Ready(Err(refusal)),
                        Validation::Deferred(validation) => {
                            self.step = PendingState::Validating(body, validation)
                        }
                    }
                }
                PendingState::Validating(body, validation) => {
                    let output = ready!(validation.as_mut().poll(cx));
                    let body = mem::take(body);
                    return Poll::Ready(
                        output.map(|output| CheckedBody::validated(body, output, head)),
                    );
                }
            }
        }
    }
}

impl<B> fmt::Debug for PendingBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingBody")
    }
}
