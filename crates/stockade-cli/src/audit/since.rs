//! The start of the period that a command reads.

use clap::Args;
use stockade_audit::LogLine;
use stockade_core::clock::{Clock, SystemClock};

use crate::time::{Since, rfc3339_micros};

#[derive(Args, Clone, Debug)]
pub(super) struct SinceArgs {
    /// Read only records written since then: `15m` ago, a day (`2026-01-31`, from midnight
    /// UTC) or a time in RFC 3339
    #[arg(long, value_name = "WHEN")]
    since: Option<Since>,
}

/// The start of the period, in the format of the records: their timestamps sort as text.
#[derive(Debug)]
pub(super) struct Start(Option<String>);

impl SinceArgs {
    pub(super) fn start(&self) -> Start {
        let now = SystemClock::new().now();
        Start(self.since.map(|since| rfc3339_micros(since.resolve(now))))
    }
}

impl Start {
    /// Whether a record is older than the period.
    pub(super) fn is_after(&self, record: &LogLine) -> bool {
        let start = self.0.as_deref();
        start.is_some_and(|start| record.timestamp.as_str() < start)
    }
}
