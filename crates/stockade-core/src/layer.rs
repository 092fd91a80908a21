//! The tower layer of a guard.

use std::{fmt, sync::Arc};

use tower_layer::Layer;

use crate::{Guard, Guarded, Responder};

/// Puts a [`Guard`] in front of a service. Cloning shares the guard.
pub struct GuardLayer<G> {
    shared: Arc<Shared<G>>,
}

/// What every clone of a layer and every service made by it share.
pub(crate) struct Shared<G> {
    pub(crate) guard: G,
    pub(crate) responder: Responder,
}

impl<G> GuardLayer<G>
where
    G: Guard,
{
    /// A layer that answers refusals with the default [`Responder`].
    pub fn new(guard: G) -> Self {
        Self::with_responder(guard, Responder::default())
    }

    /// A layer that answers refusals with this responder.
    pub fn with_responder(guard: G, responder: Responder) -> Self {
        Self {
            shared: Arc::new(Shared { guard, responder }),
        }
    }

    /// The guard.
    pub fn guard(&self) -> &G {
        &self.shared.guard
    }
}

impl<S, G> Layer<S> for GuardLayer<G> {
    type Service = Guarded<S, G>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded::new(inner, Arc::clone(&self.shared))
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
    G: Guard,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardLayer")
            .field("guard", &G::NAME)
            .finish_non_exhaustive()
    }
}
