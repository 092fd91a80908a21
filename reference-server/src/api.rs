//! The HTTP side: OpenAI's chat API over a [`Backend`].
//!
//! No guard lives here. [`fence`](crate::fence) puts them around the router.

use std::{
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    routing::{get, post},
};
use stockade::Fence;

use crate::{backend::Backend, server::Sources};

mod body;
mod chat;
mod health;
mod image;
mod models;
pub(crate) mod refusals;

pub(crate) use chat::ChatLimits;

/// The routes, as the router and the fence's scope table both name them.
pub(crate) mod routes {
    pub(crate) const HEALTH: &str = "/health";
    pub(crate) const LIVE: &str = "/health/live";
    pub(crate) const READY: &str = "/health/ready";
    /// For callers who may know why, unlike the three above.
    pub(crate) const DETAILS: &str = "/health/details";
    pub(crate) const METRICS: &str = "/metrics";
    /// Of `/metrics`, and of `/health/details`.
    pub(crate) const METRICS_SCOPE: &str = "metrics:read";
    pub(crate) const CHAT: &str = "/v1/chat/completions";
    pub(crate) const MODELS: &str = "/v1/models";
    /// A wildcard: the name of a model from the hub has a slash in it.
    pub(crate) const MODEL: &str = "/v1/models/{*id}";

    /// Whether supervisors and load balancers ask for this path.
    pub(crate) fn is_probe(path: &str) -> bool {
        matches!(path, HEALTH | LIVE | READY)
    }
}

/// What the handlers share.
pub(crate) struct Api {
    backend: Arc<dyn Backend>,
    /// Asked how its stores and sources fare, for health.
    fence: Fence,
    sources: Sources,
    limits: ApiLimits,
    decode_pool: image::DecodePool,
    started: SystemTime,
}

/// An operator's choices for the handlers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApiLimits {
    pub(crate) chat: ChatLimits,
    /// The longest time in which a client may send a body.
    pub(crate) body_timeout: Duration,
    /// The longest side at which the model looks at an image.
    pub(crate) max_image_side: u32,
}

/// The routes, without a fence.
pub(crate) fn router(
    backend: Arc<dyn Backend>,
    fence: Fence,
    sources: Sources,
    limits: ApiLimits,
) -> Router {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let api = Arc::new(Api {
        backend,
        fence,
        sources,
        limits,
        decode_pool: image::DecodePool::new(cores),
        started: SystemTime::now(),
    });
    Router::new()
        .route(routes::HEALTH, get(health::ready))
        .route(routes::LIVE, get(health::live))
        .route(routes::READY, get(health::ready))
        .route(routes::DETAILS, get(health::details))
        .route(routes::CHAT, post(chat::chat))
        .route(routes::MODELS, get(models::list))
        .route(routes::MODEL, get(models::retrieve))
        .with_state(api)
}

/// Whole seconds since 1970, as OpenAI's objects say `created`.
fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
