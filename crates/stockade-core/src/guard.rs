//! The guard: a small value that judges request heads.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::Response;
use pin_project_lite::pin_project;

use crate::{GuardLayer, Head, Hold, Refusal};

/// Judges a request by its head: passes it, refuses it, or waits first.
///
/// Written once for every server; [`GuardLayer`] runs it as a tower
/// service. One instance is shared by all requests, so state sits behind `&self`.
pub trait Guard: Send + Sync + 'static {
    /// Names the guard in verdicts, logs and metrics: `key_auth`, `scope`.
    const NAME: &'static str;

    /// What a check that passed found out; handed to [`admit`](Self::admit).
    type Pass;

    /// What is kept until the response body has ended; `()` for nothing.
    type Hold: Hold;

    /// A check that has to wait; [`Never`] for a guard that always answers at once.
    ///
    /// It may be dropped at any await, and must then leave nothing behind.
    type Wait: Future<Output = Result<Self::Pass, Refusal>>;

    /// Judges the head. Must not block; what takes time belongs into [`Check::Wait`].
    fn check(&self, head: &Head) -> Check<Self::Pass, Self::Wait>;

    /// Lets the request in: inserts extensions, strips what the handler must not see.
    ///
    /// Called right before the inner service, never for a refused request.
    fn admit(&self, pass: Self::Pass, head: &mut Head) -> Self::Hold;

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
    type Hold = G::Hold;
    type Wait = G::Wait;

    fn check(&self, head: &Head) -> Check<G::Pass, G::Wait> {
        (**self).check(head)
    }

    fn admit(&self, pass: G::Pass, head: &mut Head) -> G::Hold {
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
    type Hold = Option<G::Hold>;
    type Wait = OptionWait<G::Wait>;

    fn check(&self, head: &Head) -> Check<Self::Pass, Self::Wait> {
        match self.as_ref().map(|guard| guard.check(head)) {
            None => Check::Pass(None),
            Some(Check::Pass(pass)) => Check::Pass(Some(pass)),
            Some(Check::Refuse(refusal)) => Check::Refuse(refusal),
            Some(Check::Answer(response)) => Check::Answer(response),
            Some(Check::Wait(wait)) => Check::Wait(OptionWait { wait }),
        }
    }

    fn admit(&self, pass: Self::Pass, head: &mut Head) -> Self::Hold {
        let guard = self.as_ref()?;
        Some(guard.admit(pass?, head))
    }
}

pin_project! {
    /// The [`Guard::Wait`] of an optional guard.
    pub struct OptionWait<W> {
        #[pin]
        wait: W,
    }
}

impl<W, P> Future for OptionWait<W>
where
    W: Future<Output = Result<P, Refusal>>,
{
    type Output = Result<Option<P>, Refusal>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().wait.poll(cx).map_ok(Some)
    }
}

impl<W> fmt::Debug for OptionWait<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OptionWait")
    }
}

/// What a guard says of a request.
#[derive(Debug)]
pub enum Check<P, W> {
    /// The request may go on.
    Pass(P),
    /// The request ends here.
    Refuse(Refusal),
    /// It ends here as well, but nothing is held against it: the guard has the answer.
    Answer(Box<Response<Bytes>>),
    /// The verdict needs I/O or another thread.
    Wait(W),
}

/// A [`Guard::Wait`] in a box, for guards whose waits take milliseconds.
pub type BoxWait<P> = Pin<Box<dyn Future<Output = Result<P, Refusal>> + Send>>;

impl<P> Check<P, BoxWait<P>>
where
    P: 'static,
{
    /// The same verdict, with evidence where it is a refusal, now or after the wait; see
    /// [`Refusal::with_evidence`]. It is not asked for where the request passes at once.
    pub fn with_evidence(self, evidence: impl FnOnce() -> u64) -> Self {
        match self {
            Self::Pass(pass) => Self::Pass(pass),
            Self::Refuse(refusal) => Self::Refuse(refusal.with_evidence(evidence())),
            Self::Answer(response) => Self::Answer(response),
            Self::Wait(wait) => {
                let evidence = evidence();
                Self::Wait(Box::pin(async move {
                    wait.await
                        .map_err(|refusal| refusal.with_evidence(evidence))
                }))
            }
        }
    }
}

/// The [`Guard::Wait`] of a guard that never waits. It has no values.
pub struct Never<P> {
    never: std::convert::Infallible,
    pass: PhantomData<fn() -> P>,
}

impl<P> fmt::Debug for Never<P> {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.never {}
    }
}

impl<P> Future for Never<P> {
    type Output = Result<P, Refusal>;

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.never {}
    }
}
