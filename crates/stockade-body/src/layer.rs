//! The tower layer.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{Response, request::Parts};
use stockade_core::{Refusal, RequestContext, Responder};
use tower_layer::Layer;

use crate::{BodyCheck, BodyRules, judging::Places, memory::Memory};

/// Checks the bodies of requests by [`BodyRules`]. Cloning shares the memory for bodies.
#[derive(Clone)]
pub struct BodyCheckLayer {
    shared: Arc<Shared>,
}

/// What all clones of a layer, and all services made by it, share.
pub(crate) struct Shared {
    pub(crate) rules: BodyRules,
    pub(crate) memory: Memory,
    pub(crate) places: Places,
    responder: Responder,
}

impl BodyCheckLayer {
    /// Names the check in verdicts, logs and metrics.
    pub const NAME: &'static str = "body";

    /// A layer that answers refusals with the default [`Responder`].
    pub fn new(rules: BodyRules) -> Self {
        Self::with_responder(rules, Responder::default())
    }

    /// A layer that answers refusals with this responder.
    pub fn with_responder(rules: BodyRules, responder: Responder) -> Self {
        let memory = Memory::new(rules.memory());
        let places = Places::new(rules.places());
        Self {
            shared: Arc::new(Shared {
                rules,
                memory,
                places,
                responder,
            }),
        }
    }
}

impl Shared {
    /// Notes the verdict in the request's context and answers the request.
    pub(crate) fn refuse(&self, refusal: &Refusal, head: &Parts) -> Response<Bytes> {
        if let Some(context) = RequestContext::of(&head.extensions) {
            context.refuse(BodyCheckLayer::NAME, refusal);
        }
        self.responder.respond(refusal, head)
    }
}

impl<S> Layer<S> for BodyCheckLayer {
    type Service = BodyCheck<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BodyCheck::new(inner, Arc::clone(&self.shared))
    }
}

impl fmt::Debug for BodyCheckLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyCheckLayer")
            .field("rules", &self.shared.rules)
            .finish_non_exhaustive()
    }
}
