//! Figures for Prometheus.

use std::sync::{Arc, OnceLock};

use axum::{Router, extract::State, routing::get};
use http::header::CONTENT_TYPE;
use metrics::{describe_counter, describe_gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use stockade::Fence;

use super::Sources;
use crate::{api::routes, backend::Backend};

/// What answers take, in seconds: from a refusal to a long chat.
const DURATION_BUCKETS: &[f64] = &[
    0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];

/// The recorder of the process, which the first server installs.
pub(super) fn install() -> PrometheusHandle {
    static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
    let install = || {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(
                Matcher::Suffix("_duration_seconds".to_owned()),
                DURATION_BUCKETS,
            )
            .expect("there are buckets")
            .build_recorder();
        let handle = recorder.handle();
        // A program that embeds the server may have one of its own, which then gets the figures.
        let _ = metrics::set_global_recorder(recorder);
        describe();
        handle
    };
    INSTALLED.get_or_init(install).clone()
}

/// The help texts of the server's own families; the fence describes its own.
fn describe() {
    describe_gauge!(
        "stockade_connections_limit",
        "Connections that the server takes at a time: server.max_connections, or fewer where \
         the limit of open files is too low"
    );
    describe_gauge!("stockade_connections", "Connections that are open");
    describe_counter!(
        "stockade_invalid_hosts_total",
        "Requests that were refused because of their Host, by reason"
    );
    describe_counter!(
        "stockade_reloads_total",
        "Reloads of the configuration, by result"
    );
}

/// The route that shows them.
pub(super) fn router(
    handle: PrometheusHandle,
    fence: &Fence,
    sources: Sources,
    backend: Arc<dyn Backend>,
) -> Router {
    Router::new()
        .route(routes::METRICS, get(render))
        .with_state((handle, fence.clone(), sources, backend))
}

/// Chats that the model answers, and chats that wait for it.
const RUNNING_CHATS: &str = "stockade_model_running_chats";
const WAITING_CHATS: &str = "stockade_model_waiting_chats";

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
fn record_load(backend: &dyn Backend) {
    metrics::describe_gauge!(RUNNING_CHATS, "Chats that the model answers now");
    metrics::describe_gauge!(WAITING_CHATS, "Chats that wait for the model now");
    // A backend that cannot say has no such figures.
    if let Some(load) = backend.load() {
        metrics::gauge!(RUNNING_CHATS).set(load.running as f64);
        metrics::gauge!(WAITING_CHATS).set(load.waiting as f64);
    }
}

/// What the route asks.
type MetricsState = (PrometheusHandle, Fence, Sources, Arc<dyn Backend>);

async fn render(
    State((handle, fence, sources, backend)): State<MetricsState>,
) -> ([(http::HeaderName, &'static str); 1], String) {
    fence.record_gauges();
    sources.record();
    record_load(&*backend);
    handle.run_upkeep();
    let format = "text/plain; version=0.0.4; charset=utf-8";
    ([(CONTENT_TYPE, format)], handle.render())
}
