//! What the page needs before a login.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::routes::{Access, Routes};
use crate::{auth::setup, error::ApiResult, state::AdminState};

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/status", Access::Public, status)
}

/// What the page needs before a login.
#[derive(Debug, Serialize, ToSchema)]
struct StatusView {
    /// Whether the first user must be created.
    setup_required: bool,
    version: &'static str,
    oidc: Vec<ProviderView>,
    /// The URL that the playground calls; `null` for the origin of the page.
    gateway_url: Option<String>,
}

/// An identity provider.
#[derive(Debug, Serialize, ToSchema)]
struct ProviderView {
    name: String,
}

async fn status(State(state): State<AdminState>) -> ApiResult<Json<StatusView>> {
    let oidc = state.0.oidc.iter().map(|oidc| ProviderView {
        name: oidc.name().to_owned(),
    });
    Ok(Json(StatusView {
        setup_required: setup::is_required(&state).await?,
        version: env!("CARGO_PKG_VERSION"),
        oidc: oidc.collect(),
        gateway_url: state.0.gateway_url.clone(),
    }))
}
