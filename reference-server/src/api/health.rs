//! `GET /health`: whether a chat would be answered now.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::CACHE_CONTROL};
use serde::Serialize;

use super::Api;
use crate::backend::{Phase, Status};

#[derive(Serialize)]
struct Health {
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
}

/// 200 when the model answers, 503 before and after; the body says why. A supervisor
/// that only wants to know whether the process lives takes any answer as a yes.
pub(super) async fn health(State(api): State<Arc<Api>>) -> Response {
    let Status {
        phase,
        model,
        device,
    } = api.backend.status();
    let (code, status, progress, error) = match phase {
        Phase::Ready => (StatusCode::OK, "ready", None, None),
        Phase::Loading(how_far) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "loading",
            Some(how_far),
            None,
        ),
        Phase::Failed(why) => (StatusCode::SERVICE_UNAVAILABLE, "failed", None, Some(why)),
    };
    let store = api.fence.store_health();
    let limits = store.map(|store| if store.up { "shared" } else { "store_down" });
    // Whoever would be refused by the fence would not be answered.
    let (code, status) = match store {
        Some(store) if store.refuses && code.is_success() => {
            (StatusCode::SERVICE_UNAVAILABLE, "limits_unavailable")
        }
        _ => (code, status),
    };
    let health = Health {
        status,
        model,
        device,
        version: env!("CARGO_PKG_VERSION"),
        progress,
        error,
        limits,
    };
    (code, [(CACHE_CONTROL, "no-store")], Json(health)).into_response()
}
