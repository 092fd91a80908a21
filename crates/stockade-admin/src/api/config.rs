//! The configuration of the program.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use stockade_audit::{EventKind, SecurityEvent};
use utoipa::ToSchema;

use super::{json::ApiJson, routes::Routes};
use crate::{
    ConfigControl, Permission, SettingView, WarningView,
    actor::Actor,
    error::{ApiError, ApiResult},
    state::AdminState,
};

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .get("/config", Permission::ConfigRead, show)
        .post("/config/validate", Permission::ConfigWrite, validate)
        .post("/config/reload", Permission::ConfigWrite, reload)
}

/// A draft of a configuration file.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    text: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reload {}

/// The effective configuration, without secrets.
#[derive(Debug, Serialize, ToSchema)]
struct ConfigView {
    settings: Vec<SettingView>,
    warnings: Vec<WarningView>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Validation {
    warnings: Vec<WarningView>,
}

/// A reload that was requested.
#[derive(Debug, Serialize, ToSchema)]
struct Reloaded {
    /// The changed settings that take effect at the next start only.
    pending: Vec<String>,
}

async fn show(State(state): State<AdminState>) -> ApiResult<Json<ConfigView>> {
    let control = control(&state)?;
    Ok(Json(ConfigView {
        settings: control.settings(),
        warnings: control.warnings(),
    }))
}

/// Validates a draft, and returns its warnings. The draft may contain secrets: it is neither
/// stored nor recorded.
async fn validate(
    State(state): State<AdminState>,
    ApiJson(draft): ApiJson<Draft>,
) -> ApiResult<Json<Validation>> {
    let warnings = control(&state)?.validate(draft.text).await;
    let warnings = warnings.map_err(|error| {
        let help = error.help().map(|help| format!("; {help}"));
        ApiError::invalid("text", format!("{error}{}", help.unwrap_or_default()))
    })?;
    Ok(Json(Validation { warnings }))
}

/// Reloads the file. The program records whether the new configuration is active.
async fn reload(
    State(state): State<AdminState>,
    actor: Actor,
    ApiJson(Reload {}): ApiJson<Reload>,
) -> ApiResult<Json<Reloaded>> {
    let control = control(&state)?;
    state.record(&actor, SecurityEvent::new(EventKind::ReloadRequested));
    let pending = control.reload().await?;
    Ok(Json(Reloaded { pending }))
}

fn control(state: &AdminState) -> ApiResult<&Arc<dyn ConfigControl>> {
    let settings = state.0.settings.as_ref();
    settings.ok_or_else(|| ApiError::not_found("this program does not show its configuration"))
}
