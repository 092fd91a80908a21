//! Who may use which route.

use http::Method;
use stockade_scope::{Access, RouteTableError, ScopeGuard};

use crate::api::routes;

/// The rules of all routes. What is not here is closed, also if the router has it.
pub(crate) fn scope_guard(realm: &str) -> Result<ScopeGuard, RouteTableError> {
    let scope = |scope: &str| Access::scope(scope.parse().expect("a literal scope"));
    ScopeGuard::builder()
        .realm(realm)
        // For load balancers and supervisors, which have no key.
        .route(Method::GET, routes::HEALTH, Access::public())
        .route(Method::POST, routes::CHAT, scope("chat:write"))
        .route(Method::GET, routes::MODELS, scope("models:read"))
        .route(Method::GET, routes::MODEL, scope("models:read"))
        .build()
}
