//! Guards whose types are erased.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::{BoxWait, Check, Guard, Head, Outcome, ResponseHook, Wait};
use crate::refusal::Refusal;

/// A guard behind a pointer, for lists of guards of different types. Cloning shares it.
///
/// Each admitted request costs two small allocations.
#[derive(Clone)]
pub struct BoxGuard(Arc<dyn Erased>);

impl BoxGuard {
    /// Erases the type of this guard.
    pub fn new<G>(guard: G) -> Self
    where
        G: Guard<Pass: Send + 'static, Hook: 'static, Wait: 'static>,
    {
        Self(Arc::new(Shared(Arc::new(guard))))
    }
}

impl Guard for BoxGuard {
    const NAME: &'static str = "guard";
    type Pass = BoxPass;
    type Hook = BoxHook;
    type Wait = BoxWait<BoxPass>;

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn check(&self, head: &Head) -> Check<BoxPass, BoxWait<BoxPass>> {
        self.0.check(head)
    }

    fn admit(&self, BoxPass(admit): BoxPass, head: &mut Head) -> BoxHook {
        admit(head)
    }
}

impl fmt::Debug for BoxGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BoxGuard").field(&self.0.name()).finish()
    }
}

/// What a [`BoxGuard`] found out: how it lets the request in.
pub struct BoxPass(Box<dyn FnOnce(&mut Head) -> BoxHook + Send>);

impl fmt::Debug for BoxPass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxPass")
    }
}

/// The hook of a [`BoxGuard`].
pub struct BoxHook(Box<dyn ErasedHook>);

impl fmt::Debug for BoxHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxHook")
    }
}

impl ResponseHook for BoxHook {
    fn on_response(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        self.0.on_response(status, headers);
    }

    fn on_data(&mut self, data: &Bytes, last: bool) {
        self.0.on_data(data, last);
    }

    fn on_trailers(&mut self, trailers: &HeaderMap) {
        self.0.on_trailers(trailers);
    }

    fn on_end(self, outcome: Outcome) {
        self.0.on_end(outcome);
    }
}

trait Erased: Send + Sync {
    fn name(&self) -> &'static str;
    fn check(&self, head: &Head) -> Check<BoxPass, BoxWait<BoxPass>>;
}

struct Shared<G>(Arc<G>);

impl<G> Shared<G>
where
    G: Guard<Pass: Send + 'static, Hook: 'static, Wait: 'static>,
{
    fn pass(guard: Arc<G>, pass: G::Pass) -> BoxPass {
        BoxPass(Box::new(move |head| {
            BoxHook(Box::new(Some(guard.admit(pass, head))))
        }))
    }
}

impl<G> Erased for Shared<G>
where
    G: Guard<Pass: Send + 'static, Hook: 'static, Wait: 'static>,
{
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn check(&self, head: &Head) -> Check<BoxPass, BoxWait<BoxPass>> {
        let guard = Arc::clone(&self.0);
        match self.0.check(head) {
            Check::Pass(pass) => Check::Pass(Self::pass(guard, pass)),
            Check::Refuse(refusal) => Check::Refuse(refusal),
            Check::Answer(response) => Check::Answer(response),
            Check::Wait(wait) => Check::Wait(Box::pin(async move {
                let mut wait = std::pin::pin!(wait);
                let pass: Result<G::Pass, Refusal> =
                    std::future::poll_fn(|cx| wait.as_mut().poll_wait(cx)).await;
                Ok(Self::pass(guard, pass?))
            })),
        }
    }
}

trait ErasedHook: Send {
    fn on_response(&mut self, status: StatusCode, headers: &mut HeaderMap);
    fn on_data(&mut self, data: &Bytes, last: bool);
    fn on_trailers(&mut self, trailers: &HeaderMap);
    fn on_end(self: Box<Self>, outcome: Outcome);
}

/// Empty once a hook that does not live on past the head has seen it.
impl<H> ErasedHook for Option<H>
where
    H: ResponseHook,
{
    fn on_response(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        ResponseHook::on_response(self, status, headers);
        if !H::UNTIL_BODY_END {
            *self = None;
        }
    }

    fn on_data(&mut self, data: &Bytes, last: bool) {
        ResponseHook::on_data(self, data, last);
    }

    fn on_trailers(&mut self, trailers: &HeaderMap) {
        ResponseHook::on_trailers(self, trailers);
    }

    fn on_end(self: Box<Self>, outcome: Outcome) {
        ResponseHook::on_end(*self, outcome);
    }
}
