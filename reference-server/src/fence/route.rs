//! From the router's word for a route to the guards' word.

use axum::extract::{MatchedPath, Request};
use stockade_core::MatchedRoute;

/// Puts the route that axum matched where guards look for it.
pub(super) fn tell(mut request: Request) -> Request {
    if let Some(path) = request.extensions().get::<MatchedPath>() {
        let route = MatchedRoute::new(path.as_str());
        request.extensions_mut().insert(route);
    }
    request
}
