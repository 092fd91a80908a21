//! The tower layer of a guard.

use std::{fmt, sync::Arc};

use tower_layer::Layer;

use crate::{
    guard::{GuardStack, Guarded, stack::Names},
    refusal::Responder,
};

/// Puts a [`Guard`](crate::guard::Guard), or a [`Chain`](crate::guard::Chain) of them, in front of a
/// service. Cloning shares the guards.
pub struct GuardLayer<G> {
    shared: Arc<Shared<G>>,
}

/// What every clone of a layer and every service made by it share.
#[derive(Clone)]
pub(crate) struct Shared<G> {
    pub(crate) guards: G,
    pub(crate) responder: Responder,
}

impl<G> GuardLayer<G>
where
    G: GuardStack,
{
    /// A layer that answers refusals with the default [`Responder`].
    pub fn new(guards: G) -> Self {
        Self::with_responder(guards, Responder::default())
    }

    /// A layer that answers refusals with this responder.
    pub fn with_responder(guards: G, responder: Responder) -> Self {
        Self {
            shared: Arc::new(Shared { guards, responder }),
        }
    }

    /// Answers refusals with this responder.
    pub fn responder(self, responder: Responder) -> Self
    where
        G: Clone,
    {
        let Shared { guards, .. } = Arc::unwrap_or_clone(self.shared);
        Self::with_responder(guards, responder)
    }

    /// Changes the guard. Layers that were cloned before, and their services, keep theirs.
    pub fn map<H>(self, change: impl FnOnce(G) -> H) -> GuardLayer<H>
    where
        G: Clone,
        H: GuardStack,
    {
        let Shared { guards, responder } = Arc::unwrap_or_clone(self.shared);
        GuardLayer::with_responder(change(guards), responder)
    }

    /// The guard, or the chain of them.
    pub fn guard(&self) -> &G {
        &self.shared.guards
    }
}

impl<S, G> Layer<S> for GuardLayer<G> {
    type Service = Guarded<S, G>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded::new(inner, Arc::clone(&self.shared))
    }
}

impl<G> Default for GuardLayer<G>
where
    G: GuardStack + Default,
{
    fn default() -> Self {
        Self::new(G::default())
    }
}

impl<G> Clone for GuardLayer<G> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<G> fmt::Debug for GuardLayer<G>
where
    G: GuardStack,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GuardLayer")
            .field(&Names(&self.shared.guards))
            .finish()
    }
}
