//! Routes of older systems, for their clients and scripts. Each system is switched on by its name.
//!
//! 1. Requests are authenticated by a bearer credential: a token for automation, or an access
//!    token of [`inferno`]. A cookie has no effect, so these routes need no CSRF token.
//! 2. Hosts and other sites are checked as for the API, and permissions by the same table.
//! 3. Changes are made, checked and recorded by the functions of the API.
//! 4. Errors are those of the API; Inferno's have the same `error.code` and `error.message`.

mod cortex;
mod grants;
mod holo;
pub(crate) mod inferno;
pub(crate) mod openapi;
mod sollol;

use axum::{Router, middleware};

use crate::{
    Compatibility,
    api::{self, routes::Routes},
    auth,
    state::AdminState,
};

/// The routes of a system, relative to a path.
pub(crate) struct System {
    pub(crate) name: Compatibility,
    pub(crate) path: &'static str,
    pub(crate) routes: Routes,
}

/// The systems that are switched on and have routes.
pub(crate) fn systems(on: &[Compatibility]) -> Vec<System> {
    let system = |name| {
        let (path, routes) = match name {
            Compatibility::Inferno => ("/api/v1/auth", inferno::routes()),
            Compatibility::Cortex => ("/admin/keys", cortex::routes()),
            Compatibility::Holo => ("/metrics", holo::routes()),
            Compatibility::Sollol => return None,
        };
        Some(System { name, path, routes })
    };
    let all = Compatibility::ALL.iter().copied();
    all.filter(|name| on.contains(name))
        .filter_map(system)
        .collect()
}

/// Adds the routes of the systems that are switched on.
pub(crate) fn mount(mut router: Router, state: &AdminState) -> Router {
    for system in systems(&state.0.config.compatibility) {
        let routes = system.routes.into_router(state.clone());
        let routes = routes.layer(middleware::map_response(api::no_store));
        let routes = auth::authenticated_by_bearer(routes, state);
        router = router.nest_service(system.path, routes);
    }
    router
}
