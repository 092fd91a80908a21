//! The fence around the API, from the configuration, and what stands within it.
//!
//! It stands after the router ([`Router::layer`]), so every layer judges the route that
//! will really run. A route that nobody declared in [`rules`] is closed.

use std::io;

use axum::{Router, body::Body, middleware};
use http::{HeaderValue, Request, header::CACHE_CONTROL};
use stockade::{Config, Fence, FenceBody, SecurityHeadersLayer};
use stockade_audit::{AuditLog, Journal, Overflow, WriterSink};
use stockade_core::Guard;
use tower::ServiceBuilder;
use tower_http::set_header::SetResponseHeaderLayer;

mod body_limit;
mod deadline;
mod host;
mod log_sink;
mod rules;

pub(crate) use body_limit::BodyLimit;
pub(crate) use deadline::{Deadline, DeadlinePolicy};
pub(crate) use host::HostGuard;

use crate::{LogFormat, StartError};
use log_sink::LogSink;

/// What stands around the fence, and between it and the handlers.
#[derive(Clone, Debug)]
pub(crate) struct ServerLayers {
    pub(crate) hosts: HostGuard,
    pub(crate) headers: SecurityHeadersLayer,
    pub(crate) deadlines: DeadlinePolicy,
    pub(crate) body_limit: BodyLimit,
}

/// The fence. Who may use which route, and with which bodies, is the server's to say, unless
/// the configuration has `[[routes]]` of its own.
pub(crate) async fn build(config: &Config, log: LogFormat) -> Result<Fence, StartError> {
    let mut fence = Fence::builder(config).axum().metrics();
    if config.audit.is_none() {
        fence = fence.records(move || log_records(log));
    }
    if config.routes.is_empty() {
        fence = fence.bodies(rules::body_rules(&config.body));
        let scopes = rules::scope_guard(&config.auth.realm)
            .map_err(|error| StartError::context("the route table", &error))?;
        fence = fence
            .scopes(scopes)
            .responder(crate::api::refusals::responder());
    }
    fence
        .build()
        .await
        .map_err(|error| StartError::new(error.to_string()))
}

/// Records among the lines of the log, in its format.
fn log_records(format: LogFormat) -> io::Result<AuditLog> {
    const OVERFLOW: Overflow = Overflow::DropAndCount;

    let journal = match format {
        LogFormat::Json => Journal::builder(WriterSink::new(io::stderr()), OVERFLOW).start(),
        LogFormat::Text => Journal::builder(LogSink, OVERFLOW).start(),
    };
    Ok(AuditLog::new(journal?))
}

/// The router behind the fence. Read from the top: that is the way of a request.
pub(crate) fn wrap(router: Router, fence: &Fence, layers: ServerLayers) -> Router {
    router.layer(
        ServiceBuilder::new()
            // Headers that browsers go by, on every answer.
            .layer(layers.headers)
            // Nothing here is for shared caches, unless a handler says so.
            .layer(SetResponseHeaderLayer::if_not_present(
                CACHE_CONTROL,
                HeaderValue::from_static("no-store"),
            ))
            // Is it for a host that is served here?
            .layer(layers.hosts.into_layer())
            .layer(fence.layer())
            .map_request(box_body)
            // Answers for what is inside where it panics or takes too long.
            .layer(middleware::from_fn_with_state(
                layers.deadlines,
                deadline::enforce,
            ))
            // Is the body small enough to be read at all?
            .layer(layers.body_limit.into_layer()),
    )
}

/// axum's middleware knows one type of body only.
fn box_body(request: Request<FenceBody<Body>>) -> Request<Body> {
    request.map(Body::new)
}
