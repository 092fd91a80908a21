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
    backend::{ByteProgress, MemoryReport, Phase, Status},
    models::Model,
    server::SourceReport,
    upstream::UpstreamStatus,
};

/// The public part.
#[derive(Serialize)]
struct Summary {
    status: &'static str,
}

#[derive(Serialize)]
struct Details {
    status: &'static str,
    version: &'static str,
    models: Vec<ModelReport>,
    /// Whether the store of shared limits is up; `None` without such a store.
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<&'static str>,
    /// The sources that are reloaded while the server runs.
    sources: Vec<SourceReport>,
}

#[derive(Serialize)]
struct Version {
    version: &'static str,
}

/// The state of a model.
#[derive(Serialize)]
struct ModelReport {
    name: String,
    status: &'static str,
    device: String,
    /// The stage of loading.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<String>,
    /// The progress of the stage, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<ByteProgress>,
    /// Why the model is not available.
    error: Option<String>,
    /// The memory of a model in this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<MemoryReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<usize>,
    /// How long the model has been working for a client that has left.
    #[serde(skip_serializing_if = "Option::is_none")]
    draining_secs: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    upstreams: Vec<UpstreamReport>,
}

/// The state of an upstream.
#[derive(Serialize)]
struct UpstreamReport {
    url: String,
    breaker: &'static str,
    healthy: bool,
    running: usize,
    waiting: usize,
    /// The last failure of a request or a health check.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
}

impl From<UpstreamStatus> for UpstreamReport {
    fn from(status: UpstreamStatus) -> Self {
        Self {
            url: status.url.as_ref().to_owned(),
            breaker: status.breaker.label(),
            healthy: status.healthy,
            running: status.in_flight,
            waiting: status.waiting,
            last_error: status.last_error.as_deref().map(str::to_owned),
        }
    }
}

impl ModelReport {
    fn new(model: &Model) -> Self {
        let Status {
            phase,
            device,
            bytes,
            memory,
        } = model.backend.status();
        let (status, progress, error) = match phase {
            Phase::Ready => ("ready", None, None),
            Phase::Loading(stage) => ("loading", Some(stage), None),
            Phase::Failed(why) => ("failed", None, Some(why)),
            Phase::Unloaded => ("unloaded", None, None),
        };
        let load = model.backend.load();
        let group = model.backend.upstreams();
        let upstreams = group.into_iter().flat_map(|group| group.upstreams);
        Self {
            name: model.name.clone(),
            status,
            device,
            progress,
            bytes,
            error,
            memory,
            running: load.map(|load| load.running),
            waiting: load.map(|load| load.waiting),
            draining_secs: load
                .and_then(|load| load.draining)
                .map(|time| time.as_secs()),
            upstreams: upstreams.map(UpstreamReport::from).collect(),
        }
    }
}

/// Returns 200 as long as the process can respond.
pub(super) async fn live() -> Response {
    Json(Summary { status: "live" }).into_response()
}

/// Returns the version of the server.
pub(super) async fn version() -> Response {
    let version = env!("CARGO_PKG_VERSION");
    Json(Version { version }).into_response()
}

/// Returns 200 if a chat would be answered now, otherwise 503.
pub(super) async fn ready(State(api): State<Arc<Api>>) -> Response {
    let status = api.readiness();
    (status_code(status), Json(Summary { status })).into_response()
}

/// Like [`ready`], with the details.
pub(super) async fn details(State(api): State<Arc<Api>>) -> Response {
    let status = api.readiness();
    let store = api.fence.store_health();
    let details = Details {
        status,
        version: env!("CARGO_PKG_VERSION"),
        models: api.models.iter().map(ModelReport::new).collect(),
        limits: store.map(|store| if store.up { "shared" } else { "store_down" }),
        sources: api.sources.health(),
    };
    (status_code(status), Json(details)).into_response()
}

impl Api {
    fn readiness(&self) -> &'static str {
        match self.models.phase() {
            Phase::Loading(_) => return "loading",
            Phase::Failed(_) => return "failed",
            Phase::Unloaded => return "unloaded",
            Phase::Ready => {}
        }
        // The fence would refuse every request.
        if self.fence.store_health().is_some_and(|store| store.refuses) {
            return "limits_unavailable";
        }
        let sources = self.sources.readiness();
        // An administrator knows that a model is not loaded.
        let is_ready = |model: &Model| {
            let phase = model.backend.status().phase;
            matches!(phase, Phase::Ready | Phase::Unloaded)
        };
        match sources {
            "ready" if !self.models.iter().all(is_ready) => "degraded",
            sources => sources,
        }
    }
}

/// `degraded` counts as ready: the last good value of the failing source stays active.
fn status_code(status: &str) -> StatusCode {
    match status {
        "ready" | "degraded" => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}
