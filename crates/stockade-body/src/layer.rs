//! The tower layer.

use stockade_core::{
    guard::{Bodies, GuardLayer, Guarded},
    refusal::Responder,
};
use tower_layer::Layer;

use crate::{BodyCheck, BodyRules};

/// The tower layer that checks request bodies against [`BodyRules`].
///
/// Clones, and the services that they make, share the memory budget. To compose the check with
/// other guards, use [`BodyRules::into_guard`] instead.
///
/// ```
/// use http::Method;
/// use stockade_body::{BodyLayer, BodyRules, Profile};
///
/// let rules = BodyRules::new().route(Method::POST, "/notes", Profile::json().max_bytes(4 << 10));
/// let layer = BodyLayer::new(rules);
/// ```
#[derive(Clone, Debug)]
pub struct BodyLayer(GuardLayer<Bodies<BodyCheck>>);

impl BodyLayer {
    /// Creates a layer with these rules.
    pub fn new(rules: BodyRules) -> Self {
        Self::from(rules.into_guard())
    }

    /// Sets the responder that turns refusals into responses.
    pub fn responder(self, responder: Responder) -> Self {
        Self(self.0.responder(responder))
    }
}

impl From<Bodies<BodyCheck>> for BodyLayer {
    fn from(guard: Bodies<BodyCheck>) -> Self {
        Self(GuardLayer::new(guard))
    }
}

impl From<BodyRules> for BodyLayer {
    fn from(rules: BodyRules) -> Self {
        Self::new(rules)
    }
}

impl From<BodyLayer> for GuardLayer<Bodies<BodyCheck>> {
    fn from(layer: BodyLayer) -> Self {
        layer.0
    }
}

impl<S> Layer<S> for BodyLayer {
    type Service = Guarded<S, Bodies<BodyCheck>>;

    fn layer(&self, inner: S) -> Self::Service {
        self.0.layer(inner)
    }
}
