//! Counts and logs the exports that fail.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use metrics::counter;
use opentelemetry_sdk::error::OTelSdkResult;

pub(super) const EXPORT_FAILURES: &str = "stockade_telemetry_export_failures_total";
pub(super) const DROPPED_SPANS: &str = "stockade_telemetry_dropped_spans_total";

/// The minimum time between two lines of the log.
const INTERVAL: Duration = Duration::from_secs(60);

/// What is exported.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signal {
    Traces,
    Metrics,
}

impl Signal {
    fn label(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }
}

/// Why a span is not exported.
#[derive(Clone, Copy, Debug)]
pub(super) enum DropReason {
    QueueFull,
    ExportFailed,
}

impl DropReason {
    fn label(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::ExportFailed => "export_failed",
        }
    }
}

/// Counts failures in the metrics, and logs them at most once a minute.
pub(super) struct ExportLog(Mutex<State>);

#[derive(Default)]
struct State {
    /// The cause of the last failed request, which the SDK does not pass on.
    cause: Option<String>,
    logged: Option<Instant>,
    /// Since the last line.
    failures: u64,
    dropped: u64,
}

impl Default for ExportLog {
    fn default() -> Self {
        // Registers them at startup, so that the first failure shows as an increase.
        for signal in [Signal::Traces, Signal::Metrics] {
            counter!(EXPORT_FAILURES, "signal" => signal.label()).increment(0);
        }
        for reason in [DropReason::QueueFull, DropReason::ExportFailed] {
            counter!(DROPPED_SPANS, "reason" => reason.label()).increment(0);
        }
        Self(Mutex::default())
    }
}

impl ExportLog {
    /// Remembers why a request to the collector failed.
    pub(super) fn request_failed(&self, cause: String) {
        self.state().cause = Some(cause);
    }

    /// Counts an export that failed after its retries.
    pub(super) fn exported(&self, signal: Signal, result: &OTelSdkResult) {
        let mut state = self.state();
        let cause = state.cause.take();
        if let Err(error) = result {
            counter!(EXPORT_FAILURES, "signal" => signal.label()).increment(1);
            state.failures += 1;
            state.log(cause.unwrap_or_else(|| error.to_string()));
        }
    }

    /// Counts spans that are not exported.
    pub(super) fn dropped(&self, spans: usize, reason: DropReason) {
        let spans = u64::try_from(spans).unwrap_or(u64::MAX);
        counter!(DROPPED_SPANS, "reason" => reason.label()).increment(spans);
        let mut state = self.state();
        state.dropped = state.dropped.saturating_add(spans);
        if let DropReason::QueueFull = reason {
            state.log("the queue of spans is full".to_owned());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn log(&mut self, cause: String) {
        let now = Instant::now();
        if self.logged.is_some_and(|last| now - last < INTERVAL) {
            return;
        }
        self.logged = Some(now);
        let failures = std::mem::take(&mut self.failures);
        let dropped_spans = std::mem::take(&mut self.dropped);
        tracing::warn!(cause, failures, dropped_spans, "cannot export telemetry");
    }
}

impl fmt::Debug for ExportLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExportLog")
    }
}
