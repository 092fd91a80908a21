//! Holo: its `/metrics`, a JSON object with the figures of this process.

use axum::{Json, extract::State};
use http::Method;
use serde::Serialize;

use crate::{
    Permission,
    api::routes::Routes,
    records::{Latencies, LiveTotals},
    state::AdminState,
    time,
};

pub(super) fn routes() -> Routes {
    Routes::default().undescribed(Method::GET, "/", Permission::UsageRead, metrics)
}

#[derive(Debug, Serialize)]
struct Metrics {
    /// Since the start.
    requests_total: u64,
    requests_2xx: u64,
    requests_4xx: u64,
    requests_5xx: u64,
    /// Of the last minutes; `null` without requests.
    latency_p50_ms: Option<f64>,
    latency_p95_ms: Option<f64>,
    latency_p99_ms: Option<f64>,
    uptime_seconds: u64,
    /// `null` if the program has no bans.
    abuse_stats: Option<AbuseStats>,
}

#[derive(Debug, Serialize)]
struct AbuseStats {
    denied_count: u64,
    tracked_entities: usize,
    banned_entities: usize,
    threshold_errors: u32,
    window_seconds: u64,
}

async fn metrics(State(state): State<AdminState>) -> Json<Metrics> {
    let live = &state.0.live;
    let mut latencies = Latencies::default();
    for second in live.window(time::now() / 1_000 + 1) {
        latencies.merge(&second.latencies);
    }
    let LiveTotals {
        requests,
        successes,
        client_errors,
        server_errors,
    } = live.totals();
    let abuse_stats = state.0.detector.as_ref().map(|detector| {
        let stats = detector.stats();
        AbuseStats {
            denied_count: stats.denied_count,
            tracked_entities: stats.tracked_entities,
            banned_entities: stats.banned_entities,
            threshold_errors: stats.threshold,
            window_seconds: stats.window.as_secs(),
        }
    });
    Json(Metrics {
        requests_total: requests,
        requests_2xx: successes,
        requests_4xx: client_errors,
        requests_5xx: server_errors,
        latency_p50_ms: latencies.quantile(0.5),
        latency_p95_ms: latencies.quantile(0.95),
        latency_p99_ms: latencies.quantile(0.99),
        uptime_seconds: live.uptime().as_secs(),
        abuse_stats,
    })
}
