//! The record of a request.

use http::{Method, StatusCode, uri::PathAndQuery};
use stockade_core::{RequestContext, Verdict};

use crate::{
    exchange::{Exchange, Facts, Outcome, Place},
    journal::Offence,
    line::{Level, Line, field},
};

/// The longest texts of a record, in bytes, before they are escaped.
const TEXT: usize = 256;
const NAME: usize = 128;

/// Writes the record of a request that has ended.
pub(crate) fn write(exchange: &Exchange) {
    let facts = &exchange.facts;
    let verdict = facts.context().and_then(RequestContext::verdict);
    let log = &facts.shared.log;
    if verdict.is_some() || is_security(exchange.status) {
        let status = exchange.status.map(|status| status.as_u16());
        let offence = Offence::new(facts.client(), status, verdict.map_or("", reason));
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

/// How much the record matters, and what it says in a word.
fn summary(exchange: &Exchange, verdict: Option<&Verdict>) -> (Level, &'static str) {
    let status = exchange.status.unwrap_or(StatusCode::OK);
    let level = match exchange.outcome {
        Outcome::Failed => Level::Error,
        _ if status.is_server_error() => Level::Error,
        _ if verdict.is_some() || status.is_client_error() => Level::Warn,
        _ => Level::Info,
    };
    let message = match exchange.outcome {
        _ if verdict.is_some() => "request refused",
        Outcome::Completed => "request completed",
        Outcome::Failed => "request failed",
        Outcome::ClientLeft => "client left",
    };
    (level, message)
}

fn line(exchange: &Exchange, verdict: Option<&Verdict>) -> Line {
    let facts = &*exchange.facts;
    let now = facts.ended().unwrap_or_else(|| facts.shared.log.now());
    let mut line = match summary(exchange, verdict) {
        // Almost all records, so in one piece.
        (Level::Info, "request completed") => {
            Line::begin(now, r#"","level":"info","message":"request completed""#)
        }
        (level, message) => Line::new(now, level, message),
    };
    line.shown(field!("request_id"), facts.id());
    match facts.method {
        Method::POST => line.raw(r#","method":"POST""#),
        Method::GET => line.raw(r#","method":"GET""#),
        _ => line.text(field!("method"), facts.method.as_str(), NAME),
    }
    place(&mut line, facts);
    line.client(field!("ip"), facts.client());
    let context = facts.context();
    match context.and_then(RequestContext::principal) {
        Some(principal) => line.known(field!("user"), principal.id(), NAME),
        None => line.null(field!("user")),
    }
    match exchange.status {
        Some(status) => line.number(field!("status"), status.as_u16().into()),
        None => line.null(field!("status")),
    }
    line.millis(field!("latency_ms"), facts.started, now);
    if let Some(first_byte) = facts.first_byte() {
        line.millis(field!("ttfb_ms"), facts.started, first_byte);
    }
    match exchange.outcome {
        Outcome::Completed => line.raw(r#","outcome":"completed""#),
        Outcome::Failed => line.raw(r#","outcome":"failed""#),
        Outcome::ClientLeft => line.raw(r#","outcome":"client_left""#),
    }
    line.number(field!("bytes_in"), facts.bytes_in());
    line.number(field!("bytes_out"), facts.bytes_out());
    if let Some(status) = exchange.grpc_status {
        line.number(field!("grpc_status"), status.into());
    }
    if let Some(verdict) = verdict {
        line.word(field!("guard"), verdict.guard);
        line.word(field!("code"), verdict.code);
        line.text(field!("reason"), reason(verdict), TEXT);
    }
    if let Some(context) = context {
        model(&mut line, context);
    }
    if let Some(agent) = &facts.user_agent {
        let agent = String::from_utf8_lossy(agent.as_bytes());
        line.text(field!("user_agent"), &agent, TEXT);
    }
    line
}

fn place(line: &mut Line, facts: &Facts) {
    let told = facts.context().and_then(RequestContext::route);
    match (told, &facts.place) {
        (Some(route), _) | (None, Place::Route(route)) => {
            line.known_twice([field!("path"), field!("route")], route.as_str(), TEXT);
        }
        // Without the query: its values are not for logs.
        (None, Place::Path(path)) => {
            let path = path.as_ref().map_or("", PathAndQuery::path);
            line.text(field!("path"), path, TEXT);
        }
    }
}

fn model(line: &mut Line, context: &RequestContext) {
    if let Some(model) = context.demand().and_then(|demand| demand.model.as_deref()) {
        line.known(field!("model"), model, NAME);
    }
    if let Some(usage) = context.usage() {
        line.number(field!("prompt_tokens"), usage.prompt_tokens);
        line.number(field!("completion_tokens"), usage.completion_tokens);
    }
}
