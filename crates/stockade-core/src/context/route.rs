//! The route that a router really chose.

use std::{fmt, sync::Arc};

/// The pattern of the route that the router matched: `/v1/models/{id}`.
///
/// A router's adapter sets it
/// ([`RequestContext::set_route`](crate::context::RequestContext::set_route)), so that layers
/// behind the router check the route that will run, not their own reading of the path.
///
/// ```
/// use stockade_core::context::{MatchedRoute, RequestContext};
///
/// let context = RequestContext::builder().route(MatchedRoute::new("/notes/{id}")).build();
/// assert_eq!(context.route().map(MatchedRoute::as_str), Some("/notes/{id}"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MatchedRoute(Arc<str>);

impl MatchedRoute {
    /// The route with this pattern.
    pub fn new(pattern: impl Into<Arc<str>>) -> Self {
        Self(pattern.into())
    }

    /// Its pattern.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MatchedRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
