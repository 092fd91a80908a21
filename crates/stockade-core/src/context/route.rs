//! The route that a router really chose.

use std::{fmt, sync::Arc};

use http::Extensions;

use crate::context::RequestContext;

/// The pattern of the route that the router matched: `/v1/models/{id}`.
///
/// A router's adapter says it, with [`MatchedRoute::tell`], so that layers after the router
/// judge what will run, and not a path that they read in their own way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MatchedRoute(Arc<str>);

impl MatchedRoute {
    /// The route with this pattern.
    pub fn new(pattern: impl Into<Arc<str>>) -> Self {
        Self(pattern.into())
    }

    /// The route of the request with these extensions, where anybody has said it.
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        match RequestContext::of(extensions).and_then(RequestContext::route) {
            None => extensions.get(),
            route => route,
        }
    }

    /// Says it of the request with these extensions: in its context, where there is one,
    /// and as an extension of its own otherwise. The first word stays.
    pub fn tell(self, extensions: &mut Extensions) {
        match RequestContext::of(extensions) {
            Some(context) => {
                context.set_route(self);
            }
            None => {
                extensions.get_or_insert_with(|| self);
            }
        }
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
