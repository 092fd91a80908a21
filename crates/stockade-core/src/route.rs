//! The route that a router really chose.

use std::{fmt, sync::Arc};

use http::Extensions;

/// The pattern of the route that the router matched: `/v1/models/{id}`.
///
/// A router's adapter puts it into the request's extensions, so that layers after the
/// router judge what will run, and not a path that they read in their own way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MatchedRoute(Arc<str>);

impl MatchedRoute {
    /// The route with this pattern.
    pub fn new(pattern: impl Into<Arc<str>>) -> Self {
        Self(pattern.into())
    }

    /// The route that the router put into these extensions.
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
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
