//! The record of a request.

use http::{HeaderValue, Method, StatusCode, uri::PathAndQuery};
use stockade_core::{clock::Timestamp, context::RequestContext, guard::Outcome, refusal::Denial};

use crate::{
    AuditLog,
    journal::RefusalKey,
    line::{Level, Line, field, text_field},
};

/// The maximum lengths of texts and names, in bytes, before escaping.
const TEXT: usize = 256;
pub(crate) const NAME: usize = 128;

/// The facts of a request that its record contains.
pub(crate) struct RequestRecord {
    pub(crate) context: RequestContext,
    pub(crate) method: Method,
    /// Set if no route was known on arrival.
    pub(crate) path: Option<PathAndQuery>,
    pub(crate) user_agent: Option<HeaderValue>,
    pub(crate) started: Timestamp,
    /// The time of the first byte of the response body.
    pub(crate) first_byte: Option<Timestamp>,
    /// The end of the response, if the clock was read at that time anyway.
    pub(crate) ended: Option<Timestamp>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) grpc_status: Option<u16>,
    pub(crate) bytes_out: u64,
    pub(crate) outcome: Outcome,
}

impl RequestRecord {
    /// Writes the record of a request that has ended.
    pub(crate) fn write(&self, log: &AuditLog) {
        let denial = self.context.denial();
        let now = self.ended.unwrap_or_else(|| log.now());
        if denial.is_none() && !self.is_security_event() {
            return log.request(&self.line(None, now));
        }
        let status = self.status.map(|status| status.as_u16());
        let reason = denial.map_or("", reason);
        let (client, principal) = (self.context.client(), self.context.principal());
        let key = RefusalKey::new(client, principal, status, reason);
        log.refused(key, now, || self.line(denial, now));
    }

    /// Whether the status belongs to the security events, also without a denial.
    fn is_security_event(&self) -> bool {
        let status = self.status.map(|status| status.as_u16());
        matches!(status, Some(401 | 403 | 413 | 415 | 429))
    }

    fn line(&self, denial: Option<&Denial>, now: Timestamp) -> Line {
        let context = &self.context;
        let aborted = self.is_aborted(denial);
        let outcome = match self.outcome {
            Outcome::Completed if aborted => Outcome::Failed,
            outcome => outcome,
        };
        let mut line = match self.summary(denial, aborted, outcome) {
            // Almost all records, so in one piece.
            (Level::Info, "request completed") => {
                Line::begin(now, r#"","level":"info","message":"request completed""#)
            }
            (level, message) => Line::new(now, level, message),
        };
        line.request_id(context.id());
        match self.method {
            Method::POST => line.raw(r#","method":"POST""#),
            Method::GET => line.raw(r#","method":"GET""#),
            _ => line.text(text_field!("method"), self.method.as_str(), NAME),
        }
        self.push_path(&mut line);
        line.client(context.client());
        match context.principal() {
            Some(principal) => line.identifier(text_field!("user"), principal.id(), NAME),
            None => line.null(field!("user")),
        }
        match self.status {
            Some(status) => line.number(field!("status"), status.as_u16().into()),
            None => line.null(field!("status")),
        }
        line.millis(field!("latency_ms"), self.started, now);
        if let Some(first_byte) = self.first_byte {
            line.millis(field!("ttfb_ms"), self.started, first_byte);
        }
        let outcome_and_bytes_in = match outcome {
            Outcome::Completed => r#","outcome":"completed","bytes_in":"#,
            Outcome::Failed | Outcome::Panicked => r#","outcome":"failed","bytes_in":"#,
            Outcome::Dropped => r#","outcome":"client_left","bytes_in":"#,
        };
        line.number(outcome_and_bytes_in, context.bytes_read());
        line.number(field!("bytes_out"), self.bytes_out);
        if let Some(status) = self.grpc_status {
            line.number(field!("grpc_status"), status.into());
        }
        if let Some(denial) = denial {
            line.literal(text_field!("guard"), denial.guard);
            line.literal(text_field!("code"), denial.code);
            line.identifier(text_field!("reason"), reason(denial), TEXT);
        }
        push_model(&mut line, context);
        if let Some(agent) = &self.user_agent {
            let agent = String::from_utf8_lossy(agent.as_bytes());
            line.text(text_field!("user_agent"), &agent, TEXT);
        }
        line
    }

    /// Whether a refusal aborted the response after a successful status. The status of a gRPC
    /// response does not indicate success.
    fn is_aborted(&self, denial: Option<&Denial>) -> bool {
        denial.is_some()
            && self.grpc_status.is_none()
            && self.status.is_some_and(|status| status.is_success())
    }

    /// Returns the severity and the message of the record.
    fn summary(
        &self,
        denial: Option<&Denial>,
        aborted: bool,
        outcome: Outcome,
    ) -> (Level, &'static str) {
        let status = self.status.unwrap_or(StatusCode::OK);
        // Such as a key that was revoked during the response.
        let is_of_client = |denial: &Denial| denial.kind.status().is_client_error();
        let level = match outcome {
            Outcome::Failed if aborted && denial.is_some_and(is_of_client) => Level::Warn,
            Outcome::Failed | Outcome::Panicked => Level::Error,
            _ if status.is_server_error() => Level::Error,
            _ if denial.is_some() || status.is_client_error() => Level::Warn,
            _ => Level::Info,
        };
        let message = match outcome {
            _ if denial.is_some() && !aborted => "request refused",
            Outcome::Completed => "request completed",
            Outcome::Failed | Outcome::Panicked => "request failed",
            Outcome::Dropped => "client left",
        };
        (level, message)
    }

    fn push_path(&self, line: &mut Line) {
        match self.context.route() {
            Some(route) => {
                line.identifier_twice(
                    [text_field!("path"), text_field!("route")],
                    route.as_str(),
                    TEXT,
                );
            }
            // Without the query, whose values may be secrets.
            None => {
                let path = self.path.as_ref().map_or("", PathAndQuery::path);
                line.text(text_field!("path"), path, TEXT);
            }
        }
    }
}

/// Returns the internal reason, or the code if there is none.
fn reason(denial: &Denial) -> &'static str {
    match denial.internal_reason {
        "" => denial.code,
        reason => reason,
    }
}

fn push_model(line: &mut Line, context: &RequestContext) {
    let request = context.model_request();
    if let Some(model) = request.and_then(|request| request.model.as_deref()) {
        line.cached_text(text_field!("model"), model, NAME);
    }
    if let Some(digest) = request.and_then(|request| request.prompt_digest) {
        line.display(text_field!("prompt_digest"), digest);
    }
    let relabelled = request.map_or(0, |request| request.relabelled_images);
    if relabelled > 0 {
        line.number(field!("relabelled_images"), relabelled.into());
    }
    if let Some(usage) = context.final_usage() {
        line.number(field!("prompt_tokens"), usage.prompt_tokens);
        line.number(field!("completion_tokens"), usage.completion_tokens);
        if context.is_usage_estimated() {
            line.literal(text_field!("usage"), "estimated");
        }
    }
}
