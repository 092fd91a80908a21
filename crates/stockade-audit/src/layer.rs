//! The tower layer.

use stockade_core::{
    guard::{Bodies, Chain, GuardLayer, GuardStack, Guarded, GuardedBody},
    refusal::Responder,
};
use tower_layer::Layer;

use crate::{AuditGuards, AuditLog, BodyCounter, Recorder};

/// A tower layer that writes one record per request. Put it directly inside of
/// [`ContextLayer`](stockade_core::context::ContextLayer) and outside of all other layers.
///
/// In a chain of guards, use [`Recorder::with_backpressure`] instead.
///
/// ```
/// use stockade_audit::{AuditLayer, AuditLog, Journal, Overflow, TracingSink};
/// use stockade_core::context::ContextLayer;
/// use tower::ServiceBuilder;
///
/// let journal = Journal::builder(TracingSink, Overflow::DropAndCount).start()?;
/// let layers = ServiceBuilder::new()
///     .layer(ContextLayer::new())
///     .layer(AuditLayer::new(AuditLog::new(journal)).user_agent(true));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AuditLayer {
    recorder: Recorder,
    layer: GuardLayer<Recorded>,
}

/// The service of an [`AuditLayer`].
pub type Audit<S> = Guarded<S, Recorded>;

/// The response body of an [`Audit`] service.
pub type ResponseBody<R> = GuardedBody<R, <Recorded as GuardStack>::Carried>;

type Recorded = Chain<AuditGuards, Bodies<BodyCounter>>;

impl AuditLayer {
    /// Creates a layer that writes to this log.
    pub fn new(log: AuditLog) -> Self {
        Self::from(Recorder::new(log))
    }

    /// Sets whether the `User-Agent` header is recorded; see [`Recorder::user_agent`].
    pub fn user_agent(self, recorded: bool) -> Self {
        let recorder = self.recorder.user_agent(recorded);
        Self {
            layer: self.layer.map(|_| guards(recorder.clone())),
            recorder,
        }
    }

    /// Sets the responder for requests that are refused because the log cannot be written.
    pub fn responder(self, responder: Responder) -> Self {
        Self {
            layer: self.layer.responder(responder),
            ..self
        }
    }
}

/// Adds the counter of the request body, which the layer cannot expect of other guards.
fn guards(recorder: Recorder) -> Recorded {
    let counter = Bodies::new("audit", BodyCounter);
    recorder.with_backpressure().then(counter)
}

impl From<Recorder> for AuditLayer {
    fn from(recorder: Recorder) -> Self {
        Self {
            layer: GuardLayer::new(guards(recorder.clone())),
            recorder,
        }
    }
}

impl<S> Layer<S> for AuditLayer {
    type Service = Audit<S>;

    fn layer(&self, inner: S) -> Audit<S> {
        self.layer.layer(inner)
    }
}
