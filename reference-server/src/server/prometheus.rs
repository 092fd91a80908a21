//! Prometheus metrics.

mod cortex;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{Router, extract::State, routing::get};
use http::{
    HeaderMap, HeaderName,
    header::{ACCEPT, CONTENT_TYPE},
};
use metrics::{describe_counter, describe_gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use stockade::Fence;
use tokio::time;

use super::{Sources, addresses::REFUSED, frame_budget::CLOSED, metrics_listener};
#[cfg(feature = "mistralrs")]
use crate::backend::engine_metrics as engine;
use crate::{
    MetricNames, alerts,
    api::{FALLBACKS, routes},
    models::Models,
    reload::PENDING_SETTINGS,
    telemetry::{self, Exemplars},
    tls,
    upstream::metrics as upstream,
};

/// The histogram buckets for durations, in seconds: from a refusal to a long chat.
pub(super) const DURATION_BUCKETS: &[f64] = &[
    0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];

/// Installs the process-wide recorder once, and returns its handle.
pub(super) fn install() -> PrometheusHandle {
    static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
    let install = || {
        let durations = Matcher::Suffix("_duration_seconds".to_owned());
        let upstreams = upstream::HISTOGRAMS.map(|name| Matcher::Full(name.to_owned()));
        let durations = [durations].into_iter().chain(upstreams);
        let buckets = durations.map(|name| (name, DURATION_BUCKETS));
        #[cfg(feature = "mistralrs")]
        let buckets = buckets.chain(
            engine::buckets(DURATION_BUCKETS)
                .map(|(name, buckets)| (Matcher::Full(name.to_owned()), buckets)),
        );
        let recorder = buckets
            .fold(PrometheusBuilder::new(), |builder, (name, buckets)| {
                let builder = builder.set_buckets_for_metric(name, buckets);
                builder.expect("there are buckets")
            })
            .build_recorder();
        let handle = recorder.handle();
        // An embedding program may have installed its own recorder, which then gets the metrics.
        let _ = metrics::set_global_recorder(recorder);
        describe();
        upstream::describe();
        telemetry::describe();
        alerts::describe();
        #[cfg(feature = "mistralrs")]
        engine::describe();
        handle
    };
    INSTALLED.get_or_init(install).clone()
}

/// How often the samples of histograms are merged.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Merges the samples of histograms into their buckets: otherwise they would accumulate in memory
/// until the next scrape.
pub(super) async fn upkeep(handle: PrometheusHandle) {
    let mut ticks = time::interval(UPKEEP_INTERVAL);
    loop {
        ticks.tick().await;
        handle.run_upkeep();
    }
}

/// Describes the server's own metrics; the fence describes its own.
fn describe() {
    describe_gauge!(
        "stockade_connections_limit",
        "Maximum number of open connections: server.max_connections, or fewer if the limit of \
         open files is too low"
    );
    describe_gauge!(
        tls::NOT_AFTER,
        "Unix time at which the certificate of server.tls expires"
    );
    describe_gauge!(
        tls::CLIENT_CRL_NEXT_UPDATE,
        "Unix time at which the first list of server.tls.client_crl_file expires; +Inf without one"
    );
    describe_gauge!("stockade_connections", "Number of open connections");
    describe_counter!(
        REFUSED,
        "Connections that were closed at once because their address had too many"
    );
    describe_counter!(
        CLOSED,
        "Connections that were closed because of HTTP/2 frames that carry nothing"
    );
    describe_gauge!(
        "stockade_admin_connections",
        "Number of open connections to the administration"
    );
    describe_gauge!(
        metrics_listener::CONNECTIONS,
        "Number of open connections to the listener of [metrics]"
    );
    describe_counter!(
        "stockade_invalid_hosts_total",
        "Requests refused because of their Host header, by reason"
    );
    describe_counter!(
        FALLBACKS,
        "Requests for which another model was tried, by model and fallback"
    );
    describe_counter!(
        "stockade_dropped_images_total",
        "Older images of chats that were not shown to a model: older_images = \"drop\""
    );
    describe_counter!(
        "stockade_reloads_total",
        "Reloads of the configuration, by result"
    );
    describe_gauge!(
        PENDING_SETTINGS,
        "Settings that were changed since the start and take effect at the next one"
    );
}

/// What a scrape shows.
pub(super) struct Scrape {
    pub(super) handle: PrometheusHandle,
    pub(super) fence: Fence,
    pub(super) sources: Sources,
    pub(super) models: Models,
    /// Other names to show.
    pub(super) compatibility: Vec<MetricNames>,
    /// Only OpenMetrics has them; `None` without traces.
    pub(super) exemplars: Option<Exemplars>,
}

/// The `/metrics` route.
pub(super) fn router(scrape: Scrape) -> Router {
    Router::new()
        .route(routes::METRICS, get(render))
        .with_state(Arc::new(scrape))
}

/// Gauges of the backend's load.
const RUNNING_CHATS: &str = "stockade_model_running_chats";
const WAITING_CHATS: &str = "stockade_model_waiting_chats";
const DRAINING: &str = "stockade_model_draining_seconds";

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
fn record_load(models: &Models) {
    metrics::describe_gauge!(RUNNING_CHATS, "Number of chats that the model is answering");
    metrics::describe_gauge!(
        WAITING_CHATS,
        "Number of chats that are waiting for the model"
    );
    metrics::describe_gauge!(
        DRAINING,
        "Time for which the model has been working for a client that has left"
    );
    for model in models.iter() {
        // A backend that does not report its load has no such metrics.
        let Some(load) = model.backend.load() else {
            continue;
        };
        let name = &model.name;
        metrics::gauge!(RUNNING_CHATS, "model" => name.clone()).set(load.running as f64);
        metrics::gauge!(WAITING_CHATS, "model" => name.clone()).set(load.waiting as f64);
        let draining = load.draining.unwrap_or_default().as_secs_f64();
        metrics::gauge!(DRAINING, "model" => name.clone()).set(draining);
    }
}

/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

async fn render(
    State(scrape): State<Arc<Scrape>>,
    headers: HeaderMap,
) -> ([(HeaderName, &'static str); 1], String) {
    scrape.fence.record_gauges();
    scrape.sources.record();
    record_load(&scrape.models);
    scrape.handle.run_upkeep();
    let mut text = scrape.handle.render();
    if scrape.compatibility.contains(&MetricNames::Cortex) {
        cortex::add(&mut text);
    }
    let (format, text) = match &scrape.exemplars {
        Some(exemplars) if accepts_open_metrics(&headers) => {
            (OPEN_METRICS, exemplars.open_metrics(&text))
        }
        _ => (TEXT, text),
    };
    ([(CONTENT_TYPE, format)], text)
}

/// Whether the client lists OpenMetrics, as Prometheus does. Others get the format without a
/// negotiation.
fn accepts_open_metrics(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter();
    let mut ranges = accepted.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    ranges.any(|range| {
        let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let is_named = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(b"application/openmetrics-text"));
        is_named && !parts.any(|part| part == b"q=0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_clients_that_list_open_metrics_get_it() {
        for (accept, expected) in [
            (
                "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                true,
            ),
            ("text/plain, Application/OpenMetrics-Text; q=0.2", true),
            ("application/openmetrics-text;q=0", false),
            ("text/plain;version=0.0.4", false),
            ("*/*", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            assert_eq!(accepts_open_metrics(&headers), expected, "{accept}");
        }
        assert!(!accepts_open_metrics(&HeaderMap::new()));
    }
}
