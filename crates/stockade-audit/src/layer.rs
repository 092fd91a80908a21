//! The tower layer.

use std::sync::Arc;

use stockade_core::Responder;
use tower_layer::Layer;

use crate::{Audit, AuditLog};

/// Writes one record a request. Put it right inside of
/// [`ContextGuard`](stockade_core::ContextGuard)'s layer and outside of all others.
#[derive(Clone, Debug)]
pub struct AuditLayer {
    shared: Arc<Shared>,
}

/// What every service made by the layer shares.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) log: AuditLog,
    pub(crate) responder: Responder,
    pub(crate) user_agent: bool,
}

impl AuditLayer {
    /// A layer that writes to this log.
    pub fn new(log: AuditLog) -> Self {
        Self {
            shared: Arc::new(Shared {
                log,
                responder: Responder::default(),
                user_agent: false,
            }),
        }
    }

    /// Answers the requests that are refused because the log cannot be written.
    pub fn responder(mut self, responder: Responder) -> Self {
        Arc::make_mut(&mut self.shared).responder = responder;
        self
    }

    /// Also records the `User-Agent` header, which is whatever the client likes.
    pub fn user_agent(mut self, recorded: bool) -> Self {
        Arc::make_mut(&mut self.shared).user_agent = recorded;
        self
    }
}

impl<S> Layer<S> for AuditLayer {
    type Service = Audit<S>;

    fn layer(&self, inner: S) -> Audit<S> {
        Audit::new(inner, Arc::clone(&self.shared))
    }
}
