//! The record of a request.

use http::{Method, StatusCode, uri::PathAndQuery};
use stockade_core::{context::RequestContext, guard::Outcome, refusal::Denial};

use crate::{
    RecordBuilder,
    journal::RefusalKey,
    line::{Level, Line, field},
};

/// The longest texts of a record, in bytes, before they are escaped.
const TEXT: usize = 256;
const NAME: usize = 128;

/// Writes the record of a request that has ended.
pub(crate) fn write(exchange: &RecordBuilder) {
    let denial = exchange.context.denial();
    let log = &exchange.shared.log;
    if denial.is_some() || is_security(exchange.status) {
        let status = exchange.status.map(|status| status.as_u16());
        let user = exchange.context.principal();
        let reason = denial.map_or("", reason);
        let key = RefusalKey::new(exchange.context.client(), user, status, reason);
        log.refused(key, || line(exchange, denial));
    } else {
        log.request(&line(exchange, denial));
    }
}

/// The statuses that the view of security events shows, whoever answered so.
fn is_security(status: Option<StatusCode>) -> bool {
    matches!(
        status.map(|status| status.as_u16()),
        Some(401 | 403 | 413 | 415 | 429)
    )
}

/// The cause, where the code does not say it all.
fn reason(denial: &Denial) -> &'static str {
    match denial.internal_reason {
        "" => denial.code,
        cause => cause,
    }
}

/// Whether the answer was broken off by a refusal after its head had promised success. With
/// gRPC that head says nothing yet.
fn is_broken_off(exchange: &RecordBuilder, denial: Option<&Denial>) -> bool {
    denial.is_some()
        && exchange.grpc_status.is_none()
        && exchange.status.is_some_and(|status| status.is_success())
}

/// How much the record matters, and what it says in a word.
fn summary(
    status: Option<StatusCode>,
    denial: Option<&Denial>,
    broken_off: bool,
    outcome: Outcome,
) -> (Level, &'static str) {
    let status = status.unwrap_or(StatusCode::OK);
    let level = match outcome {
        Outcome::Failed | Outcome::Panicked => Level::Error,
        _ if status.is_server_error() => Level::Error,
        _ if denial.is_some() || status.is_client_error() => Level::Warn,
        _ => Level::Info,
    };
    let message = match outcome {
        _ if denial.is_some() && !broken_off => "request refused",
        Outcome::Completed => "request completed",
        Outcome::Failed | Outcome::Panicked => "request failed",
        Outcome::Dropped => "client left",
    };
    (level, message)
}

fn line(exchange: &RecordBuilder, denial: Option<&Denial>) -> Line {
    let now = exchange.ended.unwrap_or_else(|| exchange.shared.log.now());
    let broken_off = is_broken_off(exchange, denial);
    let outcome = match exchange.outcome {
        Outcome::Completed if broken_off => Outcome::Failed,
        outcome => outcome,
    };
    let mut line = match summary(exchange.status, denial, broken_off, outcome) {
        // Almost all records, so in one piece.
        (Level::Info, "request completed") => {
            Line::begin(now, r#"","level":"info","message":"request completed""#)
        }
        (level, message) => Line::new(now, level, message),
    };
    line.request_id(exchange.context.id());
    match exchange.method {
        Method::POST => line.raw(r#","method":"POST""#),
        Method::GET => line.raw(r#","method":"GET""#),
        _ => line.text(field!("method"), exchange.method.as_str(), NAME),
    }
    place(&mut line, exchange);
    line.client(field!("ip"), exchange.context.client());
    match exchange.context.principal() {
        Some(principal) => line.identifier(field!("user"), principal.id(), NAME),
        None => line.null(field!("user")),
    }
    match exchange.status {
        Some(status) => line.number(field!("status"), status.as_u16().into()),
        None => line.null(field!("status")),
    }
    line.millis(field!("latency_ms"), exchange.started, now);
    if let Some(first_byte) = exchange.first_byte {
        line.millis(field!("ttfb_ms"), exchange.started, first_byte);
    }
    match outcome {
        Outcome::Completed => line.raw(r#","outcome":"completed""#),
        Outcome::Failed | Outcome::Panicked => line.raw(r#","outcome":"failed""#),
        Outcome::Dropped => line.raw(r#","outcome":"client_left""#),
    }
    line.number(field!("bytes_in"), exchange.context.bytes_read());
    line.number(field!("bytes_out"), exchange.bytes_out);
    if let Some(status) = exchange.grpc_status {
        line.number(field!("grpc_status"), status.into());
    }
    if let Some(denial) = denial {
        line.literal(field!("guard"), denial.guard);
        line.literal(field!("code"), denial.code);
        line.identifier(field!("reason"), reason(denial), TEXT);
    }
    model(&mut line, &exchange.context);
    if let Some(agent) = &exchange.user_agent {
        let agent = String::from_utf8_lossy(agent.as_bytes());
        line.text(field!("user_agent"), &agent, TEXT);
    }
    line
}

fn place(line: &mut Line, exchange: &RecordBuilder) {
    if let Some(route) = exchange.context.route() {
        line.identifier_twice([field!("path"), field!("route")], route.as_str(), TEXT);
        return;
    }
    // Without the query: its values are not for logs.
    let path = exchange.path.as_ref().map_or("", PathAndQuery::path);
    line.text(field!("path"), path, TEXT);
}

fn model(line: &mut Line, context: &RequestContext) {
    let demand = context.model_request();
    if let Some(model) = demand.and_then(|demand| demand.model.as_deref()) {
        line.cached_text(field!("model"), model, NAME);
    }
    if let Some(digest) = demand.and_then(|demand| demand.prompt_digest) {
        line.display(field!("prompt_digest"), digest);
    }
    let relabelled = demand.map_or(0, |demand| demand.relabelled_images);
    if relabelled > 0 {
        line.number(field!("relabelled_images"), relabelled.into());
    }
    if let Some(usage) = context.final_usage() {
        line.number(field!("prompt_tokens"), usage.prompt_tokens);
        line.number(field!("completion_tokens"), usage.completion_tokens);
        if context.is_usage_estimated() {
            line.literal(field!("usage"), "estimated");
        }
    }
}
