//! The tower layer.

use stockade_core::{
    guard::{Bodies, GuardStack},
    guard::{Chain, GuardedBody},
    guard::{GuardLayer, Guarded},
    refusal::Responder,
};
use tower_layer::Layer;

use crate::{AuditLog, Backpressure, BodyCounter, Recorder};

/// Writes one record a request. Put it right inside of
/// [`ContextGuard`](stockade_core::context::ContextGuard)'s layer and outside of all others.
#[derive(Clone, Debug)]
pub struct AuditLayer {
    log: AuditLog,
    responder: Responder,
    user_agent: bool,
}

/// A service whose requests are recorded; made by [`AuditLayer`].
pub type Audit<S> = Guarded<S, Recorded>;

/// The response body of a service whose requests are recorded.
pub type ResponseBody<R> = GuardedBody<R, <Recorded as GuardStack>::Carried>;

type Recorded = Chain<AuditGuards, Bodies<BodyCounter>>;

/// What an [`AuditLayer`] does, for a [`Chain`] that says itself how much of a body was read.
pub type AuditGuards = Chain<Recorder, Backpressure>;

impl AuditLayer {
    /// A layer that writes to this log.
    pub fn new(log: AuditLog) -> Self {
        Self {
            log,
            responder: Responder::default(),
            user_agent: false,
        }
    }

    /// Answers the requests that are refused because the log cannot be written.
    pub fn responder(mut self, responder: Responder) -> Self {
        self.responder = responder;
        self
    }

    /// Also records the `User-Agent` header, which is whatever the client likes.
    pub fn user_agent(mut self, recorded: bool) -> Self {
        self.user_agent = recorded;
        self
    }

    /// The guards alone, for a chain, which has a responder of its own. Whoever reads the
    /// request's body in that chain says how much of it was read, with
    /// [`RequestContext::set_bytes_read`](stockade_core::context::RequestContext::set_bytes_read), or
    /// [`BodyCounter`] does.
    pub fn into_guards(self) -> AuditGuards {
        Recorder::new(self.log.clone(), self.user_agent).then(Backpressure::new(self.log))
    }
}

impl<S> Layer<S> for AuditLayer {
    type Service = Audit<S>;

    fn layer(&self, inner: S) -> Audit<S> {
        let reads = Bodies::new("audit", BodyCounter);
        let guards = self.clone().into_guards().then(reads);
        GuardLayer::with_responder(guards, self.responder.clone()).layer(inner)
    }
}
