//! One upstream: its client, its bounds, and what is known about it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::{
    BreakerState, GroupSettings, UpstreamSettings, UpstreamSettingsError, UpstreamStatus,
    UpstreamUrl,
    breaker::{Breaker, Health, Pass},
    client::HttpClient,
    gate::Gate,
    health::Thresholds,
    metrics::UpstreamMetrics,
    picker::{Candidate, Room},
};

/// One upstream of a model.
pub(super) struct Member {
    model: Arc<str>,
    /// The URL, in metrics, logs and the status.
    label: Arc<str>,
    url: UpstreamUrl,
    key: Option<(HeaderName, HeaderValue)>,
    /// The name that the upstream knows, as a JSON string.
    model_json: Option<Bytes>,
    weight: u32,
    priority: u8,
    client: HttpClient,
    gate: Gate,
    metrics: UpstreamMetrics,
    state: Mutex<State>,
}

struct State {
    breaker: Breaker,
    checks: Thresholds,
    last_error: Option<Arc<str>>,
}

/// Maximum time that a 429 pauses an upstream.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// When to try again if nothing tells.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Member {
    pub(super) fn new(
        model: &Arc<str>,
        settings: UpstreamSettings,
        group: &GroupSettings,
    ) -> Result<Self, UpstreamSettingsError> {
        let label: Arc<str> = settings.url.to_string().into();
        let key = settings.api_key.as_ref();
        Ok(Self {
            client: HttpClient::new(&settings, group.connect_timeout)?,
            gate: Gate::new(&settings),
            metrics: UpstreamMetrics::new(Arc::clone(model), Arc::clone(&label)),
            key: key.map(|key| key.header(settings.key_header)),
            model_json: settings.model.map(|name| json_string(&name)),
            weight: settings.weight.get(),
            priority: settings.priority,
            url: settings.url,
            state: Mutex::new(State {
                breaker: Breaker::new(group.breaker),
                checks: Thresholds::new(group.health_check.as_ref()),
                last_error: None,
            }),
            model: Arc::clone(model),
            label,
        })
    }

    pub(super) fn label(&self) -> &Arc<str> {
        &self.label
    }

    pub(super) fn url(&self) -> &UpstreamUrl {
        &self.url
    }

    pub(super) fn client(&self) -> &HttpClient {
        &self.client
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(super) fn metrics(&self) -> &UpstreamMetrics {
        &self.metrics
    }

    pub(super) fn model_json(&self) -> Option<&Bytes> {
        self.model_json.as_ref()
    }

    /// Adds the upstream's own credential.
    pub(super) fn add_key(&self, headers: &mut HeaderMap) {
        if let Some((name, value)) = &self.key {
            headers.insert(name, value.clone());
        }
    }

    /// What the choice of an upstream depends on, for a request of this key with this deadline.
    pub(super) fn candidate(
        &self,
        key: u64,
        deadline: Instant,
        tried: bool,
        now: Instant,
    ) -> Candidate {
        let outlook = self.gate.outlook(key, now);
        let available = self.lock().refuses_for(now) == Some(Duration::ZERO);
        Candidate {
            priority: self.priority,
            weight: self.weight,
            load: outlook.load,
            room: match outlook.paused_for {
                _ if !available => Room::Unavailable,
                Duration::ZERO => outlook.room,
                pause if self.gate.is_short(pause) && now + pause < deadline => {
                    outlook.room.max(Room::Paused)
                }
                _ => Room::Unavailable,
            },
            tried,
        }
    }

    /// When to try again.
    pub(super) fn retry_after(&self, now: Instant) -> Duration {
        let refuses_for = self.lock().refuses_for(now);
        let paused_for = self.gate.paused_for(now);
        refuses_for.map_or(RETRY_AFTER, |time| time.max(paused_for).max(RETRY_AFTER))
    }

    /// Lets a request pass the circuit breaker, or refuses it.
    pub(super) fn admit(&self, now: Instant) -> Option<Pass> {
        if !self.metrics.are_registered() {
            let status = self.status();
            self.metrics.set_state(status.breaker, status.healthy);
        }
        let is_paused = !self.gate.paused_for(now).is_zero();
        self.change(|state| {
            let available = !is_paused && state.refuses_for(now) == Some(Duration::ZERO);
            available.then(|| state.breaker.admit(now)).flatten()
        })
    }

    /// Records the result of a request.
    pub(super) fn record(&self, pass: Pass, health: Health) {
        let now = Instant::now();
        self.change(|state| state.breaker.record(pass, health, now, rand::random()));
    }

    /// Records a success already at the head of the response if it decides a trial: a stream may
    /// last for minutes.
    pub(super) fn record_trial(&self, pass: Pass) {
        let half_open = self.lock().breaker.state() == BreakerState::HalfOpen;
        if half_open {
            self.record(pass, Health::Success);
        }
    }

    /// Keeps the text of a failure for the status.
    pub(super) fn set_last_error(&self, error: String) {
        self.lock().last_error = Some(error.into());
    }

    /// Sends no requests for this time, up to a maximum.
    pub(super) fn pause(&self, time: Duration) {
        let now = Instant::now();
        let is_paused = !self.gate.paused_for(now).is_zero();
        self.gate.pause(now + time.min(MAX_PAUSE));
        if !is_paused {
            tracing::warn!(model = %self.model, upstream = %self.label, seconds = time.as_secs(),
                "the upstream limits the rate: paused");
        }
    }

    /// Records the result of a health check.
    pub(super) fn record_check(&self, result: Result<(), String>) {
        let error = result.as_ref().err().cloned();
        let mut state = self.lock();
        if let Some(error) = &error {
            state.last_error = Some(error.as_str().into());
        }
        let changed = state.checks.count(result.is_ok());
        let (healthy, breaker) = (state.checks.healthy(), state.breaker.state());
        drop(state);
        self.metrics.set_state(breaker, healthy);
        let (model, upstream) = (&self.model, &self.label);
        match (changed, error) {
            (false, _) => {}
            (true, None) => tracing::info!(%model, %upstream, "the upstream is healthy"),
            (true, Some(error)) => {
                tracing::warn!(%model, %upstream, error, "the upstream is unhealthy");
                self.gate.clear_queue();
            }
        }
    }

    pub(super) fn status(&self) -> UpstreamStatus {
        let (in_flight, waiting) = self.gate.load();
        let now = Instant::now();
        // A shorter pause only delays requests.
        let is_open = self.gate.is_short(self.gate.paused_for(now));
        let state = self.lock();
        UpstreamStatus {
            url: Arc::clone(&self.label),
            breaker: state.breaker.state(),
            healthy: state.checks.healthy(),
            available: is_open && state.refuses_for(now) == Some(Duration::ZERO),
            in_flight,
            waiting,
            last_error: state.last_error.clone(),
        }
    }

    /// Changes the state, and reports a change of the circuit breaker.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let before = state.breaker.state();
        let result = change(&mut state);
        let (after, healthy) = (state.breaker.state(), state.checks.healthy());
        let error = state.last_error.clone();
        drop(state);
        if before != after {
            self.report_breaker(after, healthy, error.as_deref());
        }
        result
    }

    fn report_breaker(&self, state: BreakerState, healthy: bool, error: Option<&str>) {
        self.metrics.breaker_changed(state);
        self.metrics.set_state(state, healthy);
        let (model, upstream) = (&self.model, &self.label);
        match state {
            BreakerState::Closed => tracing::info!(%model, %upstream, "circuit breaker closed"),
            BreakerState::HalfOpen => {
                tracing::info!(%model, %upstream, "circuit breaker half-open: one trial");
            }
            BreakerState::Open => {
                tracing::warn!(%model, %upstream, error, "circuit breaker open");
                self.gate.clear_queue();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How long requests are refused: zero if the next one would pass, `None` if that is unknown.
    fn refuses_for(&self, now: Instant) -> Option<Duration> {
        if !self.checks.healthy() {
            return None;
        }
        self.breaker.refuses_for(now)
    }
}

fn json_string(text: &str) -> Bytes {
    serde_json::Value::from(text).to_string().into()
}
