//! How a guard waits.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use crate::refusal::Refusal;

/// The pending half of a check: any future of a pass or a refusal, or [`NoWait`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the `Wait` of a guard",
    label = "not a future of `Result<{P}, Refusal>`",
    note = "use `NoWait` for a guard that never waits, or `BoxWait<Pass>` with \
            `Check::Wait(Box::pin(async move {{ … }}))` for one that waits"
)]
pub trait Wait<P> {
    /// Polls for the result.
    fn poll_wait(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<P, Refusal>>;
}

impl<P, F> Wait<P> for F
where
    F: Future<Output = Result<P, Refusal>>,
{
    fn poll_wait(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<P, Refusal>> {
        self.poll(cx)
    }
}

/// A [`Guard::Wait`](crate::guard::Guard::Wait) in a box, for guards whose waits take
/// milliseconds.
pub type BoxWait<P> = Pin<Box<dyn Future<Output = Result<P, Refusal>> + Send>>;

/// The [`Guard::Wait`](crate::guard::Guard::Wait) of a guard that never waits. It
/// has no values, so the waiting state of the driver disappears from the compiled code, and
/// the inner service need not be [`Clone`].
pub struct NoWait(Infallible);

impl<P> Wait<P> for NoWait {
    fn poll_wait(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Result<P, Refusal>> {
        match self.0 {}
    }
}

impl fmt::Debug for NoWait {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

/// Takes the instance of the inner service that was polled ready, for a request that waits.
#[diagnostic::on_unimplemented(
    message = "a guard that waits needs an inner service that is `Clone`",
    label = "`{S}` is not `Clone`",
    note = "the instance that was polled ready waits with the request, and a clone takes its \
            place; `tower::buffer::Buffer` or `tower::util::BoxCloneService` make a service `Clone`"
)]
pub trait TakeReady<S> {
    /// Takes the instance out, and leaves a clone.
    fn take_ready(&self, inner: &mut S) -> S;
}

impl<S, F> TakeReady<S> for F
where
    S: Clone,
    F: Future,
{
    fn take_ready(&self, inner: &mut S) -> S {
        replace_by_clone(inner)
    }
}

impl<S> TakeReady<S> for NoWait {
    fn take_ready(&self, _inner: &mut S) -> S {
        match self.0 {}
    }
}

pub(super) fn replace_by_clone<S>(inner: &mut S) -> S
where
    S: Clone,
{
    let clone = inner.clone();
    mem::replace(inner, clone)
}

pin_project! {
    /// The [`Wait`] of an optional guard.
    pub struct OptionWait<W> {
        #[pin]
        wait: W,
    }
}

impl<W> OptionWait<W> {
    pub(super) fn new(wait: W) -> Self {
        Self { wait }
    }
}

impl<W, P> Wait<Option<P>> for OptionWait<W>
where
    W: Wait<P>,
{
    fn poll_wait(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Option<P>, Refusal>> {
        self.project().wait.poll_wait(cx).map_ok(Some)
    }
}

impl<W, S> TakeReady<S> for OptionWait<W>
where
    W: TakeReady<S>,
{
    fn take_ready(&self, inner: &mut S) -> S {
        self.wait.take_ready(inner)
    }
}

impl<W> fmt::Debug for OptionWait<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OptionWait")
    }
}
