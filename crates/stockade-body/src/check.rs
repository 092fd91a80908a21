//! The guard of bodies.

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
    guard::Check,
    guard::{Bodies, Head},
    guard::{BodyGuard, GuardLayer},
    refusal::Refusal,
};

use crate::{
    BodyRules, CheckedBody,
    judging::{self, Judged, Places},
    memory::Memory,
    patience::Patience,
    profile::Form,
    reader::Reader,
    verdict,
    waiting::{Step, Waiting},
};

/// Checks the bodies of requests by [`BodyRules`]. Cloning shares the memory for bodies.
///
/// It stands in [`Bodies`], alone ([`BodyRules::into_layer`]) or in a
/// [`Chain`](stockade_core::guard::Chain) with other guards ([`BodyRules::into_guard`]).
#[derive(Clone)]
pub struct BodyCheck {
    pub(crate) shared: Arc<Shared>,
}

/// The tower layer of a [`BodyCheck`].
pub type BodyCheckLayer = GuardLayer<Bodies<BodyCheck>>;

/// What all clones of a check share.
pub(crate) struct Shared {
    pub(crate) rules: BodyRules,
    pub(crate) memory: Memory,
    pub(crate) places: Places,
}

impl BodyCheck {
    /// Names the check in verdicts, logs and metrics.
    pub const NAME: &'static str = "body";

    pub(crate) fn new(rules: BodyRules) -> Self {
        let memory = Memory::new(rules.memory(), rules.memory_per_owner());
        let places = Places::new(rules.places());
        Self {
            shared: Arc::new(Shared {
                rules,
                memory,
                places,
            }),
        }
    }
}

impl<B> BodyGuard<B> for BodyCheck
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Body = CheckedBody<B>;
    type Wait = Waiting<B>;

    fn check(&self, head: &mut Head, body: B) -> Check<CheckedBody<B>, Waiting<B>> {
        let Shared { rules, memory, .. } = &*self.shared;
        let profile = rules.profile(head);
        let limit = rules.limit(profile);
        let verdict = verdict::of_head(profile, limit, memory, head, &body.size_hint());
        if let Err(refusal) = verdict {
            return Check::Refuse(refusal);
        }
        if profile.form == Form::Streamed {
            let context = head.context().cloned();
            return Check::Pass(CheckedBody::streamed(body, limit, context));
        }
        // Most bodies are there when their head is. Then nothing waits, so nobody need be
        // woken, and nothing has to be kept for later.
        let mut reader = Reader::new(body, limit, memory);
        let read = reader.poll_read(&mut Context::from_waker(Waker::noop()), head);
        let step = match read {
            Poll::Pending => {
                if let Err(refusal) = reader.charge(head) {
                    return Check::Refuse(refusal);
                }
                Step::Reading(reader, Patience::new(rules.pace()))
            }
            Poll::Ready(Err(refusal)) => return Check::Refuse(refusal),
            Poll::Ready(Ok(body)) => match judging::judge(&self.shared, profile, head, &body) {
                Judged::Passed(findings) => {
                    return Check::Pass(CheckedBody::judged(body, findings, head));
                }
                Judged::Refused(refusal) => return Check::Refuse(refusal),
                Judged::Later(verdict) => Step::Judging(body, verdict),
            },
        };
        Check::Wait(Waiting::new(step, Arc::clone(profile)))
    }

    fn poll_check(
        &self,
        wait: Pin<&mut Waiting<B>>,
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
