//! The sources that are reloaded while the server runs: the fence's keys and lists, the
//! certificate, and the configuration.

use std::time::Duration;

use metrics::{counter, gauge};
use serde::Serialize;
use stockade::Fence;
use stockade_watch::SourceStatus;

/// All watched sources, for the metrics and the readiness check.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    fence: Fence,
    /// The server's own sources.
    own: Vec<stockade_watch::SourceHealth>,
    /// How long reloading keys may fail before the server is no longer ready.
    stale_after: Option<Duration>,
}

/// The state of a source, for `/health/details`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SourceReport {
    name: String,
    failing: bool,
    /// Seconds since the value in effect was last known to be current.
    age_secs: u64,
    failures: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Sources {
    /// Creates the list with a fence's sources. Zero disables the staleness bound.
    pub(super) fn new(fence: Fence, stale_after: Duration) -> Self {
        Self {
            fence,
            own: Vec::new(),
            stale_after: (!stale_after.is_zero()).then_some(stale_after),
        }
    }

    /// Adds a source of the server itself.
    pub(super) fn add(&mut self, source: stockade_watch::SourceHealth) {
        self.own.push(source);
    }

    /// The status of each source.
    pub(crate) fn statuses(&self) -> impl Iterator<Item = SourceStatus> {
        let own = self.own.iter().map(stockade_watch::SourceHealth::status);
        self.fence.sources().into_iter().chain(own)
    }

    /// Returns `ready`, `degraded` if reloading a source fails, or `keys_stale` if reloading keys
    /// has failed for too long, because keys revoked since then would stay valid.
    pub(crate) fn readiness(&self) -> &'static str {
        let failing = self.statuses().filter(SourceStatus::is_failing);
        let statuses: Vec<_> = failing.collect();
        let is_stale = |source: &SourceStatus| {
            is_key_source(source)
                && self
                    .stale_after
                    .is_some_and(|stale_after| source.age > stale_after)
        };
        match statuses.is_empty() {
            true => "ready",
            false if statuses.iter().any(is_stale) => "keys_stale",
            false => "degraded",
        }
    }

    /// The state of each source.
    pub(crate) fn health(&self) -> Vec<SourceReport> {
        let report = |source: SourceStatus| SourceReport {
            failing: source.is_failing(),
            age_secs: source.age.as_secs(),
            failures: source.failures,
            error: match (&source.last_error, source.is_failing()) {
                (Some(error), true) => Some(error.as_ref().to_owned()),
                _ => None,
            },
            name: source.name.as_ref().to_owned(),
        };
        self.statuses().map(report).collect()
    }

    /// Sets the gauges of the server's own sources, with the same names as the fence's.
    pub(super) fn record(&self) {
        for source in self.own.iter().map(stockade_watch::SourceHealth::status) {
            let name = source.name.as_ref().to_owned();
            gauge!("stockade_source_age_seconds", "source" => name.clone())
                .set(source.age.as_secs_f64());
            gauge!("stockade_source_failing", "source" => name.clone())
                .set(f64::from(u8::from(source.is_failing())));
            counter!("stockade_source_failures_total", "source" => name).absolute(source.failures);
        }
    }
}

/// Whether a source holds keys, tokens or revocations, which are settings of `[auth]`.
fn is_key_source(source: &SourceStatus) -> bool {
    source.name.starts_with("auth.")
}
