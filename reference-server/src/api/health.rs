//! `/health`, `/health/live`, `/health/ready` and `/health/details`: liveness and readiness.
//!
//! The public routes return a single status word. Paths, errors and sources are in the details,
//! which require the scope `metrics:read`, like `/metrics`.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Serialize;

use super::Api;
use crate::{
    backend::{Phase, Status},
    server::SourceReport,
};

/// The public part.
#[derive(Serialize)]
struct Summary {
    status: &'static str,
}

#[derive(Serialize)]
struct Details {
    status: &'static str,
    model: String,
    device: String,
    version: &'static str,
    /// The stage of loading.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<String>,
    /// Why the model is not available.
    error: Option<String>,
    /// Whether the store of shared limits is up; `None` without such a store.
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<&'static str>,
    /// The sources that are reloaded while the server runs.
    sources: Vec<SourceReport>,
}

/// Returns 200 as long as the process can respond.
pub(super) async fn live() -> Response {
    Json(Summary { status: "live" }).into_response()
}

/// Returns 200 if a chat would be answered now, otherwise 503.
pub(super) async fn ready(State(api): State<Arc<Api>>) -> Response {
    let status = api.readiness(&api.backend.status().phase);
    (status_code(status), Json(Summary { status })).into_response()
}

/// Like [`ready`], with the details.
pub(super) async fn details(State(api): State<Arc<Api>>) -> Response {
    let Status {
        phase,
        model,
        device,
    } = api.backend.status();
    let status = api.readiness(&phase);
    let (progress, error) = match phase {
        Phase::Ready => (None, None),
        Phase::Loading(stage) => (Some(stage), None),
        Phase::Failed(why) => (None, Some(why)),
    };
    let store = api.fence.store_health();
    let details = Details {
        status,
        model,
        device,
        version: env!("CARGO_PKG_VERSION"),
        progress,
        error,
        limits: store.map(|store| if store.up { "shared" } else { "store_down" }),
        sources: api.sources.health(),
    };
    (status_code(status), Json(details)).into_response()
}

impl Api {
    fn readiness(&self, phase: &Phase) -> &'static str {
        match phase {
            Phase::Loading(_) => return "loading",
            Phase::Failed(_) => return "failed",
            Phase::Ready => {}
        }
        // The fence would refuse every request.
        if self.fence.store_health().is_some_and(|store| store.refuses) {
            return "limits_unavailable";
        }
        self.sources.readiness()
    }
}

/// `degraded` counts as ready: the last good value of the failing source stays active.
fn status_code(status: &str) -> StatusCode {
    match status {
        "ready" | "degraded" => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}
