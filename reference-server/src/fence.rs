//! The fence around the API, built from the configuration, and the server's own layers.
//!
//! The layers are applied with [`Router::layer`], so that each of them sees the matched route.
//! Routes without a rule in [`rules`] are denied.

use std::{collections::HashMap, io, sync::Arc};

use axum::{Router, body::Body, middleware};
use http::{HeaderValue, Request, header::CACHE_CONTROL};
use stockade::{Config, Fence, FenceBody, SecurityHeadersLayer};
use stockade_audit::{AuditLog, Journal, Overflow, WriterSink};
use stockade_core::{guard::Guard, llm::ModelRequest};
use tower::ServiceBuilder;
use tower_http::set_header::SetResponseHeaderLayer;

mod body_limit;
mod deadline;
mod host;
mod log_sink;
mod rules;

pub(crate) use body_limit::BodyLimit;
pub(crate) use deadline::{Deadline, DeadlinePassed, DeadlinePolicy};
pub(crate) use host::HostGuard;

use crate::{DocsConfig, LogFormat, StartError, admin::AdminFenceParts};
use log_sink::LogSink;

/// The server's own layers, outside the fence and between the fence and the handlers.
#[derive(Clone, Debug)]
pub(crate) struct ServerLayers {
    pub(crate) hosts: HostGuard,
    pub(crate) headers: SecurityHeadersLayer,
    pub(crate) deadlines: DeadlinePolicy,
    pub(crate) body_limit: BodyLimit,
}

/// Builds the fence. The server supplies the scopes and body rules of its routes, unless the
/// configuration has a `[[routes]]` table. `max_tokens` has the defaults of models, by name;
/// `admin` are the parts of an administration, and `alerts` receives a copy of the records.
pub(crate) async fn build(
    config: &Config,
    log: LogFormat,
    docs: DocsConfig,
    max_tokens: HashMap<String, u32>,
    admin: Option<AdminFenceParts>,
    alerts: Option<Journal>,
) -> Result<Fence, StartError> {
    let max_tokens = Arc::new(max_tokens);
    let max_tokens_by = move |request: &ModelRequest| {
        let model = request.model.as_deref()?;
        max_tokens.get(model).copied()
    };
    let mut fence = Fence::builder(config)
        .metrics()
        .max_tokens_by(max_tokens_by.clone());
    let has_usage = admin.is_some();
    if let Some(admin) = admin {
        fence = fence
            .copy_records(admin.records)
            .after_body(admin.budgets.max_tokens_by(max_tokens_by));
        if let Some(tokens) = admin.revocations {
            fence = fence.revocations(Arc::new(tokens));
        }
    }
    if let Some(alerts) = alerts {
        fence = fence.copy_records(alerts);
    }
    if config.audit.is_none() {
        fence = fence.records(move || log_records(log));
    }
    if config.routes.is_empty() {
        fence = fence.bodies(rules::body_rules(&config.body));
        let scopes = rules::scope_guard(&config.auth.realm, docs, has_usage)
            .map_err(|error| StartError::context("invalid route table", &error))?;
        fence = fence
            .scopes(scopes)
            .responder(crate::api::refusals::responder());
    }
    fence
        .build()
        .await
        .map_err(|error| StartError::new(error.to_string()))
}

/// An audit log that writes records to standard error, in the format of the log.
fn log_records(format: LogFormat) -> io::Result<AuditLog> {
    const OVERFLOW: Overflow = Overflow::DropAndCount;

    let journal = match format {
        LogFormat::Json => Journal::builder(WriterSink::new(io::stderr()), OVERFLOW).start(),
        LogFormat::Text => Journal::builder(LogSink, OVERFLOW).start(),
    };
    Ok(AuditLog::new(journal?))
}

/// Wraps the router. A request passes the layers from top to bottom.
pub(crate) fn wrap(router: Router, fence: &Fence, layers: ServerLayers) -> Router {
    router.layer(
        ServiceBuilder::new()
            // Security headers for browsers, on every response.
            .layer(layers.headers)
            // Responses are not cached, unless a handler sets the header itself.
            .layer(SetResponseHeaderLayer::if_not_present(
                CACHE_CONTROL,
                HeaderValue::from_static("no-store"),
            ))
            // Rejects invalid and unknown hosts.
            .layer(layers.hosts.into_layer())
            .layer(fence.layer())
            .map_request(box_body)
            // Responds for handlers that panic or exceed their deadline.
            .layer(middleware::from_fn_with_state(
                layers.deadlines,
                deadline::enforce,
            ))
            // Rejects bodies whose declared length exceeds the limit.
            .layer(layers.body_limit.into_layer()),
    )
}

/// Boxes the body: axum's middleware takes only `Body`.
fn box_body(request: Request<FenceBody<Body>>) -> Request<Body> {
    request.map(Body::new)
}
