//! Guards: small values that check request heads, and the driver that runs them as tower
//! services.

mod body;
mod body_guard;
mod boxed;
mod chain;
mod check_log;
mod counted_body;
mod except_probes;
mod from_fn;
mod future;
mod head;
mod hook;
mod hook_guard;
mod keep;
mod layer;
mod list;
mod service;
mod stack;
mod wait;

use std::sync::Arc;

use bytes::Bytes;
use http::Response;

pub use body_guard::{Bodies, BodyGuard};
pub use boxed::BoxGuard;
pub use chain::Chain;
pub(crate) use check_log::CheckLog;
pub use check_log::{CheckOutcome, CheckRecord};
pub use counted_body::CountedBody;
pub use except_probes::ExceptProbes;
pub use from_fn::{AsyncGuardFn, GuardFn, async_guard_fn, guard_fn};
pub use head::Head;
pub use hook::{Outcome, ResponseHook};
pub use keep::Keep;
pub use layer::GuardLayer;
pub use list::GuardList;
pub use service::Guarded;
pub use stack::GuardStack;
pub use wait::{BoxWait, NoWait, Wait};

// The driver's plumbing: public because types of layers name it.
#[doc(hidden)]
pub use {
    body::GuardedBody,
    boxed::{BoxHook, BoxPass},
    chain::ChainWait,
    future::ResponseFuture,
    hook::HookStack,
    list::{HookList, ListWait},
    stack::{BodyWait, GuardWait, Progress, Refused, RunGuards},
    wait::{OptionWait, TakeReady},
};

use crate::refusal::Refusal;

/// Checks a request by its head: passes it, refuses it, or waits first.
///
/// Written once for every server; [`GuardLayer`] runs it as a tower
/// service. One instance is shared by all requests, so state sits behind `&self`.
pub trait Guard: Send + Sync + 'static {
    /// The guard's name in denials, logs and metrics: `key_auth`, `scope`.
    const NAME: &'static str;

    /// The result of a check that passed; handed to [`admit`](Self::admit).
    type Pass;

    /// What is kept until the response body has ended; `()` for nothing.
    type Hook: ResponseHook;

    /// A check that has to wait; [`NoWait`] for a guard that never waits.
    ///
    /// It may be dropped at any await, and must then leave nothing behind.
    type Wait: Wait<Self::Pass> + Send;

    /// The name of this instance; [`NAME`](Self::NAME) unless it is overridden.
    fn name(&self) -> &'static str {
        Self::NAME
    }

    /// Checks the head. Must not block; slow work belongs into [`Check::Wait`].
    fn check(&self, head: &Head) -> Check<Self::Pass, Self::Wait>;

    /// Admits the request: inserts extensions, strips headers that the handler must not see.
    ///
    /// Called right before the inner service, never for a refused request.
    fn admit(&self, pass: Self::Pass, head: &mut Head) -> Self::Hook;

    /// The tower layer of this guard; [`GuardLayer::with_responder`] takes a responder too.
    fn into_layer(self) -> GuardLayer<Self>
    where
        Self: Sized,
    {
        GuardLayer::new(self)
    }
}

/// A guard that two layers share.
impl<G> Guard for Arc<G>
where
    G: Guard,
{
    const NAME: &'static str = G::NAME;
    type Pass = G::Pass;
    type Hook = G::Hook;
    type Wait = G::Wait;

    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn check(&self, head: &Head) -> Check<G::Pass, G::Wait> {
        (**self).check(head)
    }

    fn admit(&self, pass: G::Pass, head: &mut Head) -> G::Hook {
        (**self).admit(pass, head)
    }
}

/// A guard that a configuration may leave out: `None` passes every request.
impl<G> Guard for Option<G>
where
    G: Guard,
{
    const NAME: &'static str = G::NAME;
    type Pass = Option<G::Pass>;
    type Hook = Option<G::Hook>;
    type Wait = OptionWait<G::Wait>;

    fn name(&self) -> &'static str {
        self.as_ref().map_or(Self::NAME, G::name)
    }

    fn check(&self, head: &Head) -> Check<Self::Pass, Self::Wait> {
        match self.as_ref().map(|guard| guard.check(head)) {
            None => Check::Pass(None),
            Some(Check::Pass(pass)) => Check::Pass(Some(pass)),
            Some(Check::Refuse(refusal)) => Check::Refuse(refusal),
            Some(Check::Answer(response)) => Check::Answer(response),
            Some(Check::Wait(wait)) => Check::Wait(OptionWait::new(wait)),
        }
    }

    fn admit(&self, pass: Self::Pass, head: &mut Head) -> Self::Hook {
        let guard = self.as_ref()?;
        Some(guard.admit(pass?, head))
    }
}

/// The result of a check.
#[derive(Debug)]
pub enum Check<P, W> {
    /// The request may go on.
    Pass(P),
    /// The request ends here.
    Refuse(Refusal),
    /// The guard responds itself. This is not a refusal.
    Answer(Box<Response<Bytes>>),
    /// The result needs I/O or another thread.
    Wait(W),
}

impl<P> Check<P, BoxWait<P>>
where
    P: 'static,
{
    /// Adds a fingerprint if the result is a refusal, now or after the wait; see
    /// [`Refusal::with_fingerprint`]. It is computed only where it is needed.
    pub fn with_fingerprint(self, fingerprint: impl FnOnce() -> u64) -> Self {
        match self {
            Self::Pass(pass) => Self::Pass(pass),
            Self::Refuse(refusal) => Self::Refuse(refusal.with_fingerprint(fingerprint())),
            Self::Answer(response) => Self::Answer(response),
            Self::Wait(wait) => {
                let fingerprint = fingerprint();
                Self::Wait(Box::pin(async move {
                    wait.await
                        .map_err(|refusal| refusal.with_fingerprint(fingerprint))
                }))
            }
        }
    }
}
