//! `/health`, `/health/live` and `/health/ready`: whether the process lives, and whether a
//! chat would be answered now.
//!
//! A stranger learns one word. Paths, errors and sources are for callers with the scope
//! `metrics:read`, who see as much in `/metrics`.

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

/// What anyone may know.
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
    /// How far loading is.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<String>,
    /// Why there is no model.
    error: Option<String>,
    /// Where limits are counted by replicas together, whether that store answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<&'static str>,
    /// What is read again while the server runs.
    sources: Vec<SourceReport>,
}

/// 200 as long as the process can answer at all.
pub(super) async fn live() -> Response {
    Json(Summary { status: "live" }).into_response()
}

/// 200 where a chat would be answered, otherwise 503.
pub(super) async fn ready(State(api): State<Arc<Api>>) -> Response {
    let status = api.readiness(&api.backend.status().phase);
    (status_code(status), Json(Summary { status })).into_response()
}

/// As [`ready`], and why.
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
        // A request that the fence would refuse would not be answered.
        if self.fence.store_health().is_some_and(|store| store.refuses) {
            return "limits_unavailable";
        }
        self.sources.readiness()
    }
}

/// `degraded` answers chats: what failed to be read again is in force as it was.
fn status_code(status: &str) -> StatusCode {
    match status {
        "ready" | "degraded" => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}
