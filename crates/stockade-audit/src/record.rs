//! The record of a request.

use http::{Method, StatusCode, uri::PathAndQuery};
use stockade_core::{End, RequestContext, Verdict};

use crate::{
    Exchange,
    exchange::Place,
    journal::Offence,
    line::{Level, Line, field},
};

/// The longest texts of a record, in bytes, before they are escaped.
const TEXT: usize = 256;
const NAME: usize = 128;

/// Writes the record of a request that has ended.
pub(crate) fn write(exchange: &Exchange) {
    let verdict = exchange.context().and_then(RequestContext::verdict);
    let log = &exchange.shared.log;
    if verdict.is_some() || is_security(exchange.status) {
        let status = exchange.status.map(|status| status.as_u16());
        let user = exchange.context().and_then(RequestContext::principal);
        let reason = verdict.map_or("", reason);
        let offence = Offence::new(exchange.client(), user, status, reason);
        log.refused(offence, || line(exchange, verdict));
    } else {
        log.request(&line(exchange, verdict));
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
fn reason(verdict: &Verdict) -> &'static str {
    match verdict.cause {
        "" => verdict.code,
        cause => cause,
    }
}

/// Whether the answer was broken off by a refusal after its head had promised success. With
/// gRPC that head says nothing yet.
fn is_broken_off(exchange: &Exchange, verdict: Option<&Verdict>) -> bool {
    verdict.is_some()
        && exchange.grpc_status.is_none()
        && exchange.status.is_some_and(|status| status.is_success())
}

/// How much the record matters, and what it says in a word.
fn summary(
    status: Option<StatusCode>,
    verdict: Option<&Verdict>,
    broken_off: bool,
    outcome: End,
) -> (Level, &'static str) {
    let status = status.unwrap_or(StatusCode::OK);
    let level = match outcome {
        End::Failed | End::Panicked => Level::Error,
        _ if status.is_server_error() => Level::Error,
        _ if verdict.is_some() || status.is_client_error() => Level::Warn,
        _ => Level::Info,
    };
    let message = match outcome {
        _ if verdict.is_some() && !broken_off => "request refused",
        End::Completed => "request completed",
        End::Failed | End::Panicked => "request failed",
        End::Dropped => "client left",
    };
    (level, message)
}

fn line(exchange: &Exchange, verdict: Option<&Verdict>) -> Line {
    let now = exchange.ended.unwrap_or_else(|| exchange.shared.log.now());
    let broken_off = is_broken_off(exchange, verdict);
    let outcome = match exchange.outcome {
        End::Completed if broken_off => End::Failed,
        outcome => outcome,
    };
    let mut line = match summary(exchange.status, verdict, broken_off, outcome) {
        // Almost all records, so in one piece.
        (Level::Info, "request completed") => {
            Line::begin(now, r#"","level":"info","message":"request completed""#)
        }
        (level, message) => Line::new(now, level, message),
    };
    line.request_id(exchange.id());
    match exchange.method {
        Method::POST => line.raw(r#","method":"POST""#),
        Method::GET => line.raw(r#","method":"GET""#),
        _ => line.text(field!("method"), exchange.method.as_str(), NAME),
    }
    place(&mut line, exchange);
    line.client(field!("ip"), exchange.client());
    let context = exchange.context();
    match context.and_then(RequestContext::principal) {
        Some(principal) => line.own(field!("user"), principal.id(), NAME),
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
        End::Completed => line.raw(r#","outcome":"completed""#),
        End::Failed | End::Panicked => line.raw(r#","outcome":"failed""#),
        End::Dropped => line.raw(r#","outcome":"client_left""#),
    }
    line.number(field!("bytes_in"), exchange.bytes_in());
    line.number(field!("bytes_out"), exchange.bytes_out);
    if let Some(status) = exchange.grpc_status {
        line.number(field!("grpc_status"), status.into());
    }
    if let Some(verdict) = verdict {
        line.word(field!("guard"), verdict.guard);
        line.word(field!("code"), verdict.code);
        line.own(field!("reason"), reason(verdict), TEXT);
    }
    if let Some(context) = context {
        model(&mut line, context);
    }
    if let Some(agent) = &exchange.user_agent {
        let agent = String::from_utf8_lossy(agent.as_bytes());
        line.text(field!("user_agent"), &agent, TEXT);
    }
    line
}

fn place(line: &mut Line, exchange: &Exchange) {
    let told = exchange.context().and_then(RequestContext::route);
    match (told, &exchange.place) {
        (Some(route), _) | (None, Place::Route(route)) => {
            line.own_twice([field!("path"), field!("route")], route.as_str(), TEXT);
        }
        // Without the query: its values are not for logs.
        (None, Place::Path(path)) => {
            let path = path.as_ref().map_or("", PathAndQuery::path);
            line.text(field!("path"), path, TEXT);
        }
    }
}

fn model(line: &mut Line, context: &RequestContext) {
    let demand = context.demand();
    if let Some(model) = demand.and_then(|demand| demand.model.as_deref()) {
        line.known(field!("model"), model, NAME);
    }
    if let Some(digest) = demand.and_then(|demand| demand.prompt_digest) {
        line.shown(field!("prompt_digest"), digest);
    }
    let relabelled = demand.map_or(0, |demand| demand.relabelled_images);
    if relabelled > 0 {
        line.number(field!("relabelled_images"), relabelled.into());
    }
    if let Some(usage) = context.final_usage() {
        line.number(field!("prompt_tokens"), usage.prompt_tokens);
        line.number(field!("completion_tokens"), usage.completion_tokens);
        if context.is_usage_estimated() {
            line.word(field!("usage"), "estimated");
        }
    }
}
