//! The body guard.

use std::{
    error::Error,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body::Body;
use stockade_core::{
    guard::{Bodies, BodyGuard, Check, Head},
    refusal::Refusal,
};

use crate::{
    BodyRules, CheckedBody,
    body_reader::BodyReader,
    head_check,
    offload::{self, Validation},
    pending::{PendingBody, PendingState},
    profile::BodyFormat,
    read_timer::ReadTimer,
    shared::Shared,
};

/// Checks request bodies against [`BodyRules`]. Clones share the memory budget.
///
/// Use it alone ([`BodyLayer`](crate::BodyLayer)) or in a
/// [`Chain`](stockade_core::guard::Chain) with other guards ([`BodyRules::into_guard`]).
#[derive(Clone)]
pub struct BodyCheck {
    shared: Arc<Shared>,
}

impl BodyCheck {
    /// The name of the check in denials, logs and metrics.
    pub const NAME: &'static str = "body";

    fn new(rules: BodyRules) -> Self {
        Self {
            shared: Arc::new(Shared::new(rules)),
        }
    }
}

impl BodyRules {
    /// Builds the guard for these rules, to be composed with others in a
    /// [`Chain`](stockade_core::guard::Chain).
    pub fn into_guard(self) -> Bodies<BodyCheck> {
        Bodies::new(BodyCheck::NAME, BodyCheck::new(self))
    }
}

impl<B> BodyGuard<B> for BodyCheck
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Body = CheckedBody<B>;
    type Wait = PendingBody<B>;

    fn check(&self, head: &mut Head, body: B) -> Check<CheckedBody<B>, PendingBody<B>> {
        let Shared { rules, memory, .. } = &*self.shared;
        let profile = rules.profile(head);
        let limit = rules.limit(profile);
        let checked = head_check::check_head(profile, limit, memory, head, &body.size_hint());
        if let Err(refusal) = checked {
            return Check::Refuse(refusal);
        }
        if profile.format == BodyFormat::Streamed {
            let context = head.context().clone();
            return Check::Pass(CheckedBody::streamed(body, limit, context));
        }
        // Most bodies arrive with their head. Reading them needs no waker and no state.
        let mut reader = BodyReader::new(body, limit);
        let read = reader.poll_read(&mut Context::from_waker(Waker::noop()), head, memory);
        let step = match read {
            Poll::Pending => {
                if let Err(refusal) = reader.charge(head, memory) {
                    return Check::Refuse(refusal);
                }
                PendingState::Reading(reader, ReadTimer::new(rules.read_timeout()))
            }
            Poll::Ready(Err(refusal)) => return Check::Refuse(refusal),
            Poll::Ready(Ok(body)) => match offload::validate(&self.shared, profile, head, &body) {
                Validation::Passed(output) => {
                    return Check::Pass(CheckedBody::validated(body, output, head));
                }
                Validation::Refused(refusal) => return Check::Refuse(refusal),
                Validation::Deferred(validation) => PendingState::Validating(body, validation),
            },
        };
        Check::Wait(PendingBody::new(step, Arc::clone(profile)))
    }

    fn poll_check(
        &self,
        wait: Pin<&mut PendingBody<B>>,
        cx: &mut Context<'_>,
        head: &mut Head,
    ) -> Poll<Result<CheckedBody<B>, Refusal>> {
        wait.get_mut().poll(&self.shared, cx, head)
    }
}

impl fmt::Debug for BodyCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyCheck")
            .field("rules", &self.shared.rules)
            .finish_non_exhaustive()
    }
}
