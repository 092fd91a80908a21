//! Writes audit records to a human-readable log.

use std::io;

use stockade_audit::{Batch, LogLine, Sink};
use tracing::{error, info, warn};

/// Passes each record to `tracing`, field by field, so that the log has one format.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogSink;

impl Sink for LogSink {
    fn write(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        for line in batch.lines() {
            match line.parse() {
                Ok(record) => log(&record),
                Err(error) => error!(%error, "cannot format an audit record"),
            }
        }
        Ok(())
    }
}

/// Emits an event; `tracing` omits the fields that are `None`.
macro_rules! event {
    ($level:ident, $record:expr) => {{
        let record: &LogLine = $record;
        $level!(
            method = record.method,
            path = record.path,
            status = record.status,
            latency_ms = record.latency_ms,
            user = record.user,
            ip = record.ip,
            outcome = record.outcome,
            guard = record.guard,
            code = record.code,
            reason = record.reason,
            model = record.model,
            prompt_tokens = record.prompt_tokens,
            completion_tokens = record.completion_tokens,
            event = record.event,
            subject = record.subject,
            detail = record.detail,
            repeated = record.repeated,
            lost = record.lost,
            request_id = record.request_id,
            "{}",
            record.message
        )
    }};
}

fn log(record: &LogLine) {
    match &*record.level {
        "error" => event!(error, record),
        "warn" => event!(warn, record),
        _ => event!(info, record),
    }
}
