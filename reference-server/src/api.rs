//! The HTTP API over the served [`Models`].
//!
//! The guards are not part of this module; [`fence`](crate::fence) wraps the router with them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    routing::{get, post},
};
use http::HeaderName;
use stockade::Fence;
use stockade_core::refusal::Refusal;

use crate::{blocking_pool::BlockingPool, config::UnknownFields, models::Models, server::Sources};

mod body;
mod embeddings;
mod generate;
mod health;
mod messages;
mod models;
pub(crate) mod openapi;
pub(crate) mod refusals;
mod relay;
mod tokenize;

pub(crate) use messages::ANTHROPIC_VERSION;
pub(crate) use relay::FALLBACKS;

/// The paths of the routes, shared by the router and the fence's rules.
pub(crate) mod routes {
    pub(crate) const HEALTH: &str = "/health";
    pub(crate) const LIVE: &str = "/health/live";
    pub(crate) const READY: &str = "/health/ready";
    /// Like [`READY`], with the reasons; requires [`METRICS_SCOPE`].
    pub(crate) const DETAILS: &str = "/health/details";
    pub(crate) const METRICS: &str = "/metrics";
    /// The scope of `/metrics` and `/health/details`.
    pub(crate) const METRICS_SCOPE: &str = "metrics:read";
    pub(crate) const CHAT: &str = "/v1/chat/completions";
    pub(crate) const EMBEDDINGS: &str = "/v1/embeddings";
    pub(crate) const RERANK: &str = "/v1/rerank";
    pub(crate) const TOKENIZE: &str = "/tokenize";
    pub(crate) const OPENAPI: &str = "/openapi.json";
    pub(crate) const DOCS: &str = "/docs";
    pub(crate) const DOCS_PAGE: &str = "/docs/";
    pub(crate) const DOCS_FILES: &str = "/docs/{*file}";
    pub(crate) const VERSION: &str = "/version";
    pub(crate) const COMPLETIONS: &str = "/v1/completions";
    pub(crate) const RESPONSES: &str = "/v1/responses";
    pub(crate) const MESSAGES: &str = "/v1/messages";
    pub(crate) const COUNT_TOKENS: &str = "/v1/messages/count_tokens";
    /// Only with an administration.
    pub(crate) const USAGE: &str = "/v1/usage";
    pub(crate) const MODELS: &str = "/v1/models";
    /// A wildcard, because the name of a Hub model contains a slash.
    pub(crate) const MODEL: &str = "/v1/models/{*id}";

    /// Whether this is the path of a public health probe.
    pub(crate) fn is_probe(path: &str) -> bool {
        matches!(path, HEALTH | LIVE | READY)
    }
}

/// The state shared by the handlers.
pub(crate) struct Api {
    models: Models,
    /// Reports the health of its stores and sources.
    fence: Fence,
    sources: Sources,
    limits: ApiLimits,
    /// Reads and writes large bodies.
    pool: BlockingPool,
    started: SystemTime,
}

/// The operator's limits for the handlers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApiLimits {
    /// How long a client may take to send a body.
    pub(crate) body_timeout: Duration,
    /// Whether unknown fields are refused or ignored.
    pub(crate) unknown_fields: UnknownFields,
}

/// The router, without the fence.
pub(crate) fn router(models: Models, fence: Fence, sources: Sources, limits: ApiLimits) -> Router {
    let api = Arc::new(Api {
        models,
        fence,
        sources,
        limits,
        pool: BlockingPool::per_core(),
        started: SystemTime::now(),
    });
    Router::new()
        .route(routes::HEALTH, get(health::ready))
        .route(routes::LIVE, get(health::live))
        .route(routes::READY, get(health::ready))
        .route(routes::DETAILS, get(health::details))
        .route(routes::CHAT, post(generate::chat))
        .route(routes::EMBEDDINGS, post(embeddings::embeddings))
        .route(routes::RERANK, post(relay::rerank))
        .route(routes::TOKENIZE, post(tokenize::tokenize))
        .route(routes::VERSION, get(health::version))
        .route(routes::COMPLETIONS, post(generate::completions))
        .route(routes::RESPONSES, post(generate::responses))
        .route(routes::MESSAGES, post(messages::create))
        .route(routes::COUNT_TOKENS, post(messages::count_tokens))
        .route(routes::MODELS, get(models::list))
        .route(routes::MODEL, get(models::retrieve))
        .with_state(api)
}

/// Larger bodies are read and written off the async threads, in bytes.
const INLINE_LIMIT: usize = 64 * 1024;

impl Api {
    /// Reads or writes a body of about this size: a large one off the async threads.
    async fn compute<T, F>(&self, size: usize, job: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, Refusal> + Send + 'static,
    {
        if size <= INLINE_LIMIT {
            return job();
        }
        let done = self.pool.run(job).await;
        done.unwrap_or_else(|| Err(refusals::internal("reading or writing a body panicked")))
    }
}

/// Disables response buffering in nginx.
pub(crate) const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Converts a time to whole seconds since the Unix epoch, for `created` in OpenAI's objects.
fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
