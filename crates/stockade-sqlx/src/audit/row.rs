//! Converts records to rows.

use serde::Serialize;
use stockade_audit::LogLine;

/// The columns for queries. Numbers are limited to signed 64 bits, and NUL characters, which
/// PostgreSQL cannot store, are replaced: input of a client must not prevent the write of its
/// record.
#[derive(Debug, Default, Serialize)]
struct Row<'l> {
    /// The number in the batch, from 1.
    number: i64,
    ends_batch: bool,
    at: Option<String>,
    level: Option<String>,
    message: Option<String>,
    event: Option<String>,
    request_id: Option<String>,
    method: Option<String>,
    path: Option<String>,
    ip: Option<String>,
    user_id: Option<String>,
    status: Option<u16>,
    outcome: Option<String>,
    guard: Option<String>,
    code: Option<String>,
    reason: Option<String>,
    subject: Option<String>,
    model: Option<String>,
    prompt_tokens: Option<i64>,
    completion_tokens: Option<i64>,
    bytes_in: Option<i64>,
    bytes_out: Option<i64>,
    latency_ms: Option<f64>,
    line: &'l str,
}

/// The rows of a batch as one parameter: a JSON array.
pub(super) fn rows(lines: &[&str]) -> String {
    let rows: Vec<_> = lines
        .iter()
        .zip(1..)
        .map(|(line, number)| Row {
            number,
            ends_batch: number == lines.len() as i64,
            line,
            ..Row::from_record(line.parse().ok())
        })
        .collect();
    serde_json::to_string(&rows).expect("strings and numbers can be written as JSON")
}

impl Row<'_> {
    fn from_record(record: Option<LogLine>) -> Self {
        let Some(record) = record else {
            return Self::default();
        };
        let text = |text: Option<String>| text.map(|text| text.replace('\0', "\u{fffd}"));
        let number =
            |number: Option<u64>| number.map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        Self {
            at: text(Some(record.timestamp)),
            level: text(Some(record.level)),
            message: text(Some(record.message)),
            event: text(record.event),
            request_id: text(record.request_id),
            method: text(record.method),
            path: text(record.path),
            ip: text(record.ip),
            user_id: text(record.user),
            status: record.status,
            outcome: text(record.outcome),
            guard: text(record.guard),
            code: text(record.code),
            reason: text(record.reason),
            subject: text(record.subject),
            model: text(record.model),
            prompt_tokens: number(record.prompt_tokens),
            completion_tokens: number(record.completion_tokens),
            bytes_in: number(record.bytes_in),
            bytes_out: number(record.bytes_out),
            latency_ms: record.latency_ms,
            ..Self::default()
        }
    }
}
