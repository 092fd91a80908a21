//! Converts the lines of a journal to rows.

use serde::Serialize;
use stockade_audit::LogLine;

use crate::time;

/// The kinds of records in the database.
const KIND_REQUEST: i64 = 0;
pub(crate) const KIND_REFUSED: i64 = 1;
pub(crate) const KIND_EVENT: i64 = 2;

/// The event of coalesced refusals.
const REPEATED: &str = "repeated";

/// A row. Numbers are limited to signed 64 bits, and NUL characters, which PostgreSQL cannot
/// store, are replaced: input of a client must not prevent the write of its record.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Record {
    /// In milliseconds since 1970.
    pub(crate) at: i64,
    /// The number in the batch, from 1.
    pub(crate) number: i64,
    pub(crate) kind: i64,
    level: String,
    message: String,
    pub(crate) event: Option<String>,
    request_id: Option<String>,
    method: Option<String>,
    path: Option<String>,
    ip: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) outcome: Option<String>,
    guard: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) reason: Option<String>,
    subject: Option<String>,
    detail: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) prompt_tokens: Option<i64>,
    pub(crate) completion_tokens: Option<i64>,
    pub(crate) latency_ms: Option<f64>,
    user_agent: Option<String>,
    search: String,
    /// The number of requests: more than one if refusals were coalesced, and none for events.
    #[serde(skip)]
    pub(crate) requests: u64,
}

impl Record {
    /// The record of a line; `None` if it is not one.
    pub(crate) fn parse(line: &str, number: i64) -> Option<Self> {
        let line: LogLine = line.parse().ok()?;
        let at = time::parse(&line.timestamp)?;
        let text = |text: Option<String>| text.map(|text| text.replace('\0', "\u{fffd}"));
        let count =
            |number: Option<u64>| number.map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        let repeated = line.event.as_deref() == Some(REPEATED);
        let kind = match &line.event {
            Some(_) if repeated => KIND_REFUSED,
            Some(_) => KIND_EVENT,
            None if line.guard.is_some() => KIND_REFUSED,
            None => KIND_REQUEST,
        };
        let mut record = Self {
            at,
            number,
            kind,
            level: line.level,
            message: line.message,
            event: text(line.event),
            request_id: text(line.request_id),
            method: text(line.method),
            path: text(line.path),
            ip: text(line.ip),
            user_id: text(line.user),
            status: line.status,
            outcome: text(line.outcome),
            guard: text(line.guard),
            code: text(line.code),
            reason: text(line.reason),
            subject: text(line.subject),
            detail: text(line.detail),
            model: text(line.model),
            prompt_tokens: count(line.prompt_tokens),
            completion_tokens: count(line.completion_tokens),
            latency_ms: line.latency_ms.filter(|millis| millis.is_finite()),
            user_agent: text(line.user_agent),
            search: String::new(),
            requests: match kind {
                KIND_EVENT => 0,
                _ if repeated => line.repeated.unwrap_or(1),
                _ => 1,
            },
        };
        record.search = record.text();
        Some(record)
    }

    /// Whether a guard refused it.
    pub(crate) fn is_refused(&self) -> bool {
        self.kind == KIND_REFUSED
    }

    /// Whether the server failed.
    pub(crate) fn is_error(&self) -> bool {
        let failed = self.outcome.as_deref() == Some("failed");
        !self.is_refused() && (failed || self.status.is_some_and(|status| status >= 500))
    }

    /// Whether it was served, so that its model is one of this program.
    pub(crate) fn is_served(&self) -> bool {
        !self.is_refused() && self.status.is_some_and(|status| status < 400)
    }

    fn text(&self) -> String {
        let texts = [
            &self.event,
            &self.request_id,
            &self.path,
            &self.ip,
            &self.user_id,
            &self.guard,
            &self.code,
            &self.reason,
            &self.subject,
            &self.detail,
            &self.model,
            &self.user_agent,
        ];
        let mut search = self.message.to_lowercase();
        for text in texts.into_iter().flatten() {
            search.push('\n');
            search.push_str(&text.to_lowercase());
        }
        search
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &str) -> Record {
        let line = format!(
            r#"{{"timestamp":"2026-01-31T12:00:00.5Z","level":"info","message":"m","seq":1{fields}}}"#
        );
        Record::parse(&line, 1).unwrap()
    }

    #[test]
    fn tells_requests_refusals_and_events_apart() {
        for (fields, kind, requests) in [
            (r#","status":200"#, KIND_REQUEST, 1),
            (r#","status":401,"guard":"key_auth""#, KIND_REFUSED, 1),
            (r#","event":"repeated","repeated":40"#, KIND_REFUSED, 40),
            (r#","event":"key_changed""#, KIND_EVENT, 0),
        ] {
            let record = record(fields);
            assert_eq!((record.kind, record.requests), (kind, requests), "{fields}");
        }
        assert!(Record::parse("{}", 1).is_none());
    }

    #[test]
    fn stores_what_databases_can() {
        let record = record(r#","model":"A\u0000b","prompt_tokens":18446744073709551615"#);
        assert_eq!(record.model.as_deref(), Some("A\u{fffd}b"));
        assert_eq!(record.prompt_tokens, Some(i64::MAX));
        assert_eq!(record.search, "m\na\u{fffd}b");
        assert_eq!(record.at, 1_769_860_800_500);
    }
}
