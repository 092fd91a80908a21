//! The API under `/admin/v1`.

mod answer;
mod audit;
mod bans;
pub(crate) mod budgets;
mod config;
mod etag;
mod export;
pub(crate) mod idempotency;
mod import;
pub(crate) mod json;
pub(crate) mod keys;
mod live;
mod models;
pub(crate) mod openapi;
mod operation;
mod password;
pub(crate) mod revocations;
mod roles;
pub(crate) mod routes;
mod session;
mod setup;
mod status;
pub(crate) mod tokens;
mod totp;
mod usage;
mod users;

use axum::{Json, Router, middleware, response::Response};
use http::{HeaderValue, header::CACHE_CONTROL};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Permission, actor::Actor, state::AdminState};
use routes::{Access, Routes};

/// All routes, relative to `/admin/v1`.
pub(crate) fn routes() -> Routes {
    let routes = Routes::default().get("/permissions", Access::Authenticated, permissions);
    let routes = status::add(routes);
    let routes = setup::add(routes);
    let routes = session::add(routes);
    let routes = password::add(routes);
    let routes = totp::add(routes);
    let routes = tokens::add(routes);
    let routes = users::add(routes);
    let routes = roles::add(routes);
    let routes = keys::add(routes);
    let routes = bans::add(routes);
    let routes = budgets::add(routes);
    let routes = revocations::add(routes);
    let routes = usage::add(routes);
    let routes = live::add(routes);
    let routes = audit::add(routes);
    let routes = config::add(routes);
    let routes = export::add(routes);
    let routes = import::add(routes);
    let routes = openapi::add(routes);
    models::add(routes)
}

/// The description of all routes.
#[cfg(test)]
pub(crate) fn document() -> serde_json::Value {
    openapi::document(routes().table())
}

pub(crate) fn router(state: AdminState) -> Router {
    let no_store = middleware::map_response(no_store);
    routes().into_router(state).layer(no_store)
}

/// All permissions, and those of the actor.
#[derive(Debug, Serialize, ToSchema)]
struct PermissionsView {
    permissions: Vec<&'static str>,
    own: Vec<&'static str>,
}

async fn permissions(actor: Actor) -> Json<PermissionsView> {
    Json(PermissionsView {
        permissions: Permission::ALL.iter().map(|one| one.name()).collect(),
        own: actor.permissions.iter().map(Permission::name).collect(),
    })
}

/// Keeps responses out of all caches, also that of the browser's history.
pub(crate) async fn no_store(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let value = HeaderValue::from_static("no-store");
    headers.entry(CACHE_CONTROL).or_insert(value);
    response
}
