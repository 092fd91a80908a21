//! The fence around the API, from the configuration, and what stands within it.
//!
//! It stands after the router ([`Router::layer`]), so every layer judges the route that
//! will really run. A route that nobody declared in [`rules`] is closed.

use std::io;

use axum::{Router, body::Body, middleware};
use http::Request;
use stockade::{Config, Fence, FenceBody};
use stockade_audit::{AuditLog, Journal, Overflow, WriterSink};
use stockade_core::Guard;
use tower::ServiceBuilder;

mod body_limit;
mod deadline;
mod rules;

pub(crate) use body_limit::BodyLimit;
pub(crate) use deadline::{Deadline, Patience};

use crate::StartError;

/// What stands between the fence and the handlers.
#[derive(Clone, Debug)]
pub(crate) struct Within {
    pub(crate) patience: Patience,
    pub(crate) body_limit: BodyLimit,
}

/// The fence. Who may use which route, and with which bodies, is the server's to say, unless
/// the configuration has `[[routes]]` of its own.
pub(crate) async fn build(config: &Config) -> Result<Fence, StartError> {
    let mut fence = Fence::builder(config).axum().metrics();
    if config.audit.is_none() {
        fence = fence.records(to_standard_error);
    }
    if config.routes.is_empty() {
        fence = fence.bodies(rules::bodies(&config.body));
        let scopes = rules::scope_guard(&config.auth.realm)
            .map_err(|error| StartError::of("the route table", &error))?;
        fence = fence
            .scopes(scopes)
            .responder(crate::api::refusals::responder());
    }
    fence
        .build()
        .await
        .map_err(|error| StartError::new(error.to_string()))
}

/// Records beside the lines of the log, for whoever does not keep them in files.
fn to_standard_error() -> io::Result<AuditLog> {
    let journal = Journal::builder(WriterSink::new(io::stderr()), Overflow::DropAndCount);
    Ok(AuditLog::new(journal.start()?))
}

/// The router behind the fence. Read from the top: that is the way of a request.
pub(crate) fn around(router: Router, fence: &Fence, within: Within) -> Router {
    router.layer(
        ServiceBuilder::new()
            .layer(fence.layer())
            .map_request(boxed)
            // Answers for what is inside where it panics or takes too long.
            .layer(middleware::from_fn_with_state(
                within.patience,
                deadline::always_answer,
            ))
            // Is the body small enough to be read at all?
            .layer(within.body_limit.into_layer()),
    )
}

/// axum's middleware knows one type of body only.
fn boxed(request: Request<FenceBody<Body>>) -> Request<Body> {
    request.map(Body::new)
}
