//! The guard that looks at bodies.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use crate::{
    guard::{Check, GuardLayer, Head},
    refusal::Refusal,
};

/// Checks a request by its body, which it may read, replace or wrap.
///
/// It is part of a [`Chain`](crate::guard::Chain) with guards that check the head: a request
/// that a guard before it refuses has no byte read, and guards after it know its result.
pub trait BodyGuard<B>: Send + Sync + 'static {
    /// The bodies that are handed on.
    type Body;

    /// A body that has not arrived yet, or takes long to check.
    ///
    /// It may be dropped at any time, and must then leave nothing behind.
    type Wait;

    /// Checks the body if that is possible without waiting. Must not block.
    fn check(&self, head: &mut Head, body: B) -> Check<Self::Body, Self::Wait>;

    /// Goes on with a body that had to wait.
    fn poll_check(
        &self,
        wait: Pin<&mut Self::Wait>,
        cx: &mut Context<'_>,
        head: &mut Head,
    ) -> Poll<Result<Self::Body, Refusal>>;
}

/// A [`BodyGuard`] as part of [`GuardStack`](crate::guard::GuardStack).
#[derive(Clone)]
pub struct Bodies<G> {
    name: &'static str,
    guard: G,
}

impl<G> Bodies<G> {
    /// This guard, with its name in denials, logs and metrics.
    pub fn new(name: &'static str, guard: G) -> Self {
        Self { name, guard }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The guard.
    pub fn guard(&self) -> &G {
        &self.guard
    }

    /// The tower layer of this guard; [`GuardLayer::with_responder`] takes a responder too.
    pub fn into_layer(self) -> GuardLayer<Self>
    where
        G: Send + Sync + 'static,
    {
        GuardLayer::new(self)
    }
}

impl<G> fmt::Debug for Bodies<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bodies").field(&self.name).finish()
    }
}
