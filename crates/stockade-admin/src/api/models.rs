//! The models of the program.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use stockade_audit::{EventKind, SecurityEvent};
use utoipa::ToSchema;

use super::{answer::Accepted, json::ApiPath, routes::Routes};
use crate::{
    ControlError, ModelControl, ModelState, Permission,
    actor::Actor,
    error::{ApiError, ApiResult},
    state::AdminState,
};

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .get("/models", Permission::ModelsRead, list)
        .post("/models/{name}/load", Permission::ModelsWrite, load)
        .post("/models/{name}/unload", Permission::ModelsWrite, unload)
}

/// All models.
#[derive(Debug, Serialize, ToSchema)]
struct Models {
    data: Vec<ModelState>,
}

async fn list(State(state): State<AdminState>) -> Json<Models> {
    let models = state.0.models.as_ref().map(|models| models.models());
    Json(Models {
        data: models.unwrap_or_default(),
    })
}

async fn load(
    State(state): State<AdminState>,
    actor: Actor,
    ApiPath(name): ApiPath<String>,
) -> ApiResult<Accepted> {
    models(&state)?.load(&name).await?;
    state.record(
        &actor,
        SecurityEvent::new(EventKind::ModelLoaded).subject(name),
    );
    Ok(Accepted)
}

async fn unload(
    State(state): State<AdminState>,
    actor: Actor,
    ApiPath(name): ApiPath<String>,
) -> ApiResult<Accepted> {
    models(&state)?.unload(&name).await?;
    state.record(
        &actor,
        SecurityEvent::new(EventKind::ModelUnloaded).subject(name),
    );
    Ok(Accepted)
}

fn models(state: &AdminState) -> ApiResult<&Arc<dyn ModelControl>> {
    let models = state.0.models.as_ref();
    models.ok_or_else(|| ApiError::not_found("this program has no models"))
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> Self {
        let help = error.help().map(|help| format!("; {help}"));
        Self::conflict(format!("{error}{}", help.unwrap_or_default()))
    }
}
