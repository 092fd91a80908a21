//! Metrics of upstreams.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use metrics::{
    Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use super::BreakerState;

const REQUESTS: &str = "stockade_upstream_requests_total";
const RETRIES: &str = "stockade_upstream_retries_total";
const REFUSALS: &str = "stockade_upstream_refusals_total";
const BREAKER_STATE: &str = "stockade_upstream_breaker_state";
const BREAKER_CHANGES: &str = "stockade_upstream_breaker_changes_total";
const HEALTHY: &str = "stockade_upstream_healthy";
const IN_FLIGHT: &str = "stockade_upstream_in_flight";
const WAITING: &str = "stockade_upstream_waiting";
const QUEUE_WAIT: &str = "stockade_upstream_queue_wait_seconds";
const FIRST_BYTE: &str = "stockade_upstream_first_byte_seconds";

/// The histograms, all in seconds.
pub(crate) const HISTOGRAMS: [&str; 2] = [QUEUE_WAIT, FIRST_BYTE];

/// Describes all metric families to the installed recorder.
pub(crate) fn describe() {
    describe_counter!(
        REQUESTS,
        "Requests to upstreams, retries included, by outcome"
    );
    describe_counter!(
        RETRIES,
        "Requests that were sent again, by the reason; upstream is the one that failed"
    );
    describe_counter!(
        REFUSALS,
        "Requests that no upstream took, and retries that the budget refused, by reason"
    );
    describe_gauge!(
        BREAKER_STATE,
        "State of the circuit breaker: 0 closed, 1 half-open, 2 open"
    );
    describe_counter!(
        BREAKER_CHANGES,
        "Changes of the circuit breaker, by the new state"
    );
    describe_gauge!(
        HEALTHY,
        "Whether the health checks of the upstream succeed: 1 or 0"
    );
    describe_gauge!(IN_FLIGHT, "Number of requests in progress at the upstream");
    describe_gauge!(WAITING, "Number of requests that wait for the upstream");
    describe_histogram!(
        QUEUE_WAIT,
        Unit::Seconds,
        "Time that requests waited for a free slot of the upstream"
    );
    describe_histogram!(
        FIRST_BYTE,
        Unit::Seconds,
        "Time from the free slot to the head of the response"
    );
}

/// The metrics of one upstream.
pub(super) struct UpstreamMetrics {
    model: Arc<str>,
    upstream: Arc<str>,
    /// Looked up at the first request, when the recorder is installed.
    handles: OnceLock<Handles>,
}

struct Handles {
    in_flight: Gauge,
    waiting: Gauge,
    queue_wait: Histogram,
    first_byte: Histogram,
}

impl UpstreamMetrics {
    pub(super) fn new(model: Arc<str>, upstream: Arc<str>) -> Self {
        Self {
            model,
            upstream,
            handles: OnceLock::new(),
        }
    }

    /// Counts a request that has ended.
    pub(super) fn ended(&self, outcome: &'static str) {
        let (model, upstream) = self.labels();
        counter!(REQUESTS, "model" => model, "upstream" => upstream, "outcome" => outcome)
            .increment(1);
    }

    /// Counts a request that is sent again because it failed here.
    pub(super) fn retried(&self, reason: &'static str) {
        let (model, upstream) = self.labels();
        counter!(RETRIES, "model" => model, "upstream" => upstream, "reason" => reason)
            .increment(1);
    }

    /// Counts a change of the circuit breaker.
    pub(super) fn breaker_changed(&self, state: BreakerState) {
        let (model, upstream) = self.labels();
        let to = state.label();
        counter!(BREAKER_CHANGES, "model" => model, "upstream" => upstream, "to" => to)
            .increment(1);
    }

    /// Sets the gauges of the state.
    pub(super) fn set_state(&self, breaker: BreakerState, healthy: bool) {
        let (model, upstream) = self.labels();
        let state = match breaker {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 1.0,
            BreakerState::Open => 2.0,
        };
        gauge!(BREAKER_STATE, "model" => model.clone(), "upstream" => upstream.clone()).set(state);
        gauge!(HEALTHY, "model" => model, "upstream" => upstream).set(if healthy {
            1.0
        } else {
            0.0
        });
    }

    /// Counts a waiting request until the guard is dropped.
    pub(super) fn wait(&self) -> GaugeGuard {
        GaugeGuard::new(self.handles().waiting.clone())
    }

    /// Whether the metrics of requests exist; before the first one there may be no recorder.
    pub(super) fn are_registered(&self) -> bool {
        self.handles.get().is_some()
    }

    /// Counts a request in progress until the guard is dropped.
    pub(super) fn run(&self) -> GaugeGuard {
        GaugeGuard::new(self.handles().in_flight.clone())
    }

    pub(super) fn waited(&self, time: Duration) {
        self.handles().queue_wait.record(time);
    }

    pub(super) fn first_byte(&self, time: Duration) {
        self.handles().first_byte.record(time);
    }

    fn handles(&self) -> &Handles {
        self.handles.get_or_init(|| {
            let labels = || {
                let (model, upstream) = self.labels();
                vec![
                    metrics::Label::new("model", model),
                    metrics::Label::new("upstream", upstream),
                ]
            };
            Handles {
                in_flight: gauge!(IN_FLIGHT, labels()),
                waiting: gauge!(WAITING, labels()),
                queue_wait: histogram!(QUEUE_WAIT, labels()),
                first_byte: histogram!(FIRST_BYTE, labels()),
            }
        })
    }

    fn labels(&self) -> (Arc<str>, Arc<str>) {
        (Arc::clone(&self.model), Arc::clone(&self.upstream))
    }
}

/// Counts a request that no upstream took, or a retry that the budget refused.
pub(super) fn refused(model: &Arc<str>, reason: &'static str) {
    counter!(REFUSALS, "model" => Arc::clone(model), "reason" => reason).increment(1);
}

/// Raises a gauge by one until it is dropped.
pub(super) struct GaugeGuard(Gauge);

impl GaugeGuard {
    fn new(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        process::{Command, Stdio},
    };

    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn passes_promtool() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            describe();
            let model: Arc<str> = "small".into();
            let metrics = UpstreamMetrics::new(Arc::clone(&model), "http://a/v1".into());
            metrics.ended("ok");
            metrics.retried("connect");
            metrics.breaker_changed(BreakerState::Open);
            metrics.set_state(BreakerState::Open, false);
            metrics.waited(Duration::from_secs(1));
            metrics.first_byte(Duration::from_secs(1));
            refused(&model, "queue_full");
            let guards = (metrics.wait(), metrics.run());
            assert!(
                recorder
                    .handle()
                    .render()
                    .contains("_waiting{model=\"small\"")
            );
            drop(guards);
        });
        let text = recorder.handle().render();
        let names = [
            REQUESTS,
            RETRIES,
            REFUSALS,
            BREAKER_STATE,
            BREAKER_CHANGES,
            HEALTHY,
            IN_FLIGHT,
            WAITING,
            QUEUE_WAIT,
            FIRST_BYTE,
        ];
        for name in names {
            assert!(text.contains(&format!("# HELP {name} ")), "{name}\n{text}");
        }
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool is installed: apt-get install prometheus");
        let mut input = promtool.stdin.take().unwrap();
        input.write_all(text.as_bytes()).unwrap();
        drop(input);
        let output = promtool.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!((output.stdout, output.stderr), (vec![], vec![]));
    }
}
