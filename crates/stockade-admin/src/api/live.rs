//! Figures of the last minutes, of this process.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use axum::{
    Json,
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, stream};
use serde::Serialize;
use tokio::time::{Instant, Interval, interval_at};
use utoipa::ToSchema;

use super::routes::Routes;
use crate::{
    ModelState, Permission,
    error::ApiResult,
    records::{Latencies, LiveSecond, WINDOW},
    state::AdminState,
    time,
};

/// A stream ends after this many events; browsers open it again, and are authenticated again.
const MAX_EVENTS: u32 = 60;

/// A second is complete after this time, in milliseconds: records are collected before.
const DELAY: i64 = 500;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .get("/overview", Permission::UsageRead, overview)
        .get("/live", Permission::UsageRead, live)
}

#[derive(Debug, Serialize, ToSchema)]
struct Overview {
    window_secs: i64,
    /// One item for each second, without gaps.
    per_second: Vec<SecondView>,
    /// The refused requests by code.
    refusals: BTreeMap<String, u64>,
    latency_p50_ms: Option<f64>,
    latency_p95_ms: Option<f64>,
    latency_p99_ms: Option<f64>,
    /// The requests that models process.
    in_flight: u64,
    keys: usize,
    bans: usize,
    models: Vec<ModelState>,
}

#[derive(Debug, Serialize, ToSchema)]
struct SecondView {
    t: String,
    requests: u64,
    refused: u64,
    errors: u64,
    tokens: u64,
}

/// The data of an event.
#[derive(Debug, Serialize)]
struct Figures {
    #[serde(flatten)]
    second: SecondView,
    in_flight: u64,
    models: Vec<ModelState>,
}

async fn overview(State(state): State<AdminState>) -> ApiResult<Json<Overview>> {
    let window = state.0.live.window(complete() + 1);
    let mut latencies = Latencies::default();
    let mut refusals = BTreeMap::new();
    for second in &window {
        latencies.merge(&second.latencies);
        for (code, count) in &second.codes {
            *refusals.entry(code.clone()).or_default() += count;
        }
    }
    let keys = match &state.0.keys {
        Some(keys) => keys.all().await?.len(),
        None => 0,
    };
    let models = models(&state);
    Ok(Json(Overview {
        window_secs: WINDOW,
        per_second: window.iter().map(SecondView::new).collect(),
        refusals,
        latency_p50_ms: latencies.quantile(0.5),
        latency_p95_ms: latencies.quantile(0.95),
        latency_p99_ms: latencies.quantile(0.99),
        in_flight: models.iter().map(|model| model.running).sum(),
        keys,
        bans: state
            .0
            .detector
            .as_ref()
            .map_or(0, |bans| bans.stats().banned_entities),
        models,
    }))
}

async fn live(
    State(state): State<AdminState>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let second = Duration::from_secs(1);
    let ticks = interval_at(Instant::now(), second);
    let events = stream::unfold((state, ticks, 0), next_event);
    Sse::new(events).keep_alive(KeepAlive::default())
}

async fn next_event(
    (state, mut ticks, sent): (AdminState, Interval, u32),
) -> Option<(Result<Event, Infallible>, (AdminState, Interval, u32))> {
    if sent >= MAX_EVENTS {
        return None;
    }
    ticks.tick().await;
    let models = models(&state);
    let figures = Figures {
        second: SecondView::new(&state.0.live.second(complete())),
        in_flight: models.iter().map(|model| model.running).sum(),
        models,
    };
    let figures = serde_json::to_string(&figures).expect("texts and numbers can be written");
    let event = Event::default().event("figures").data(figures);
    Some((Ok(event), (state, ticks, sent + 1)))
}

/// The newest complete second.
fn complete() -> i64 {
    (time::now() - DELAY).div_euclid(1_000) - 1
}

fn models(state: &AdminState) -> Vec<ModelState> {
    let models = state.0.models.as_ref();
    models.map(|models| models.models()).unwrap_or_default()
}

impl SecondView {
    fn new(second: &LiveSecond) -> Self {
        Self {
            t: time::rfc3339(second.at * 1_000),
            requests: second.requests,
            refused: second.refused,
            errors: second.errors,
            tokens: second.tokens,
        }
    }
}
