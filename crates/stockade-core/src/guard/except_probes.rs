//! Guards that probes do not pass.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use crate::guard::{GuardStack, Head, Progress, RunGuards, stack::Sealed};

/// Guards that a [probe](Head::is_probe) does not meet; made by [`GuardStack::except_probes`].
#[derive(Clone, Debug)]
pub struct ExceptProbes<G>(G);

impl<G> ExceptProbes<G> {
    pub(crate) fn new(guards: G) -> Self {
        Self(guards)
    }
}

impl<G> Sealed for ExceptProbes<G> {}

impl<G> GuardStack for ExceptProbes<G>
where
    G: GuardStack,
{
    type Hooks = G::Hooks;
    type Carried = G::Carried;

    fn hooks(kept: &mut Self::Carried) -> &mut Self::Hooks {
        G::hooks(kept)
    }

    fn names(&self, list: &mut fmt::DebugList<'_, '_>) {
        self.0.names(list);
    }
}

impl<G, B> RunGuards<B> for ExceptProbes<G>
where
    G: RunGuards<B, Body = B>,
{
    type Body = B;
    type Wait = G::Wait;

    #[inline]
    fn begin(&self, head: &mut Head, body: B, holds: &mut Self::Hooks) -> Progress<B, Self::Wait> {
        if head.is_probe() {
            return Progress::Pass(body);
        }
        self.0.begin(head, body, holds)
    }

    fn resume(
        &self,
        wait: Pin<&mut Self::Wait>,
        cx: &mut Context<'_>,
        head: &mut Head,
        holds: &mut Self::Hooks,
    ) -> Poll<Progress<B, Self::Wait>> {
        self.0.resume(wait, cx, head, holds)
    }
}
