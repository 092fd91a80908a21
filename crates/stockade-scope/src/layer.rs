//! The tower layer.

use http::Method;
use stockade_core::{
    guard::{GuardLayer, Guarded},
    refusal::Responder,
};
use tower_layer::Layer;

use crate::{CoverageError, ScopeBuilder, ScopeGuard};

/// Authorizes requests by the rule of their route and the scopes of their principal. Cheap to
/// clone.
///
/// The [crate documentation](crate) lists the rules. [`ScopeGuard`] is the guard behind it, for
/// chains of guards.
///
/// ```
/// use http::Method;
/// use stockade_scope::{Access, ScopeLayer};
///
/// let layer = ScopeLayer::builder()
///     .route(Method::GET, "/notes/{id}", Access::scope("notes:read".parse()?))
///     .build()?;
/// // In a test: each route of the router has a rule.
/// assert!(layer.coverage([(Method::GET, "/notes/{id}")]).is_ok());
/// assert!(layer.coverage([(Method::GET, "/notes/{id}"), (Method::GET, "/tags")]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ScopeLayer(GuardLayer<ScopeGuard>);

impl ScopeLayer {
    /// Returns a builder; a layer without routes denies every request.
    pub fn builder() -> ScopeBuilder<Self> {
        ScopeBuilder::new()
    }

    /// Compares the rules with the routes of a router; see [`ScopeGuard::coverage`].
    ///
    /// # Errors
    /// Returns the routes without a rule and the rules without a route.
    pub fn coverage<'r>(
        &'r self,
        routes: impl IntoIterator<Item = (Method, &'r str)>,
    ) -> Result<(), CoverageError> {
        self.0.guard().coverage(routes)
    }

    /// Returns whether the rule of a route pattern is public; see [`ScopeGuard::is_public`].
    pub fn is_public(&self, method: &Method, pattern: &str) -> bool {
        self.0.guard().is_public(method, pattern)
    }

    /// Sets how refusals are written.
    pub fn responder(self, responder: Responder) -> Self {
        Self(self.0.responder(responder))
    }
}

impl From<ScopeGuard> for ScopeLayer {
    fn from(guard: ScopeGuard) -> Self {
        Self(GuardLayer::new(guard))
    }
}

impl From<ScopeLayer> for GuardLayer<ScopeGuard> {
    fn from(layer: ScopeLayer) -> Self {
        layer.0
    }
}

impl<S> Layer<S> for ScopeLayer {
    type Service = Guarded<S, ScopeGuard>;

    fn layer(&self, inner: S) -> Self::Service {
        self.0.layer(inner)
    }
}
