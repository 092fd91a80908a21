//! Metrics of an engine.
//!
//! The names of OpenTelemetry's semantic conventions for generative AI are used where there are
//! some, as its Prometheus exporter writes them.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};

use super::cost::Estimate;

const QUEUE_WAIT: &str = "stockade_model_queue_wait_seconds";
const ENGINE_TIME: &str = "stockade_model_engine_seconds";
const PROMPT_TOKENS: &str = "stockade_model_prompt_tokens_total";
const GENERATED_TOKENS: &str = "stockade_model_generated_tokens_total";
const RESTARTS: &str = "stockade_model_restarts_total";
const RESUMES: &str = "stockade_model_resumes_total";
const COST_RATIO: &str = "stockade_model_cost_ratio";
/// `gen_ai.server.request.duration`.
const REQUEST_DURATION: &str = "gen_ai_server_request_duration_seconds";
/// `gen_ai.server.time_to_first_token`.
const FIRST_TOKEN: &str = "gen_ai_server_time_to_first_token_seconds";
/// `gen_ai.server.time_per_output_token`.
const TOKEN: &str = "gen_ai_server_time_per_output_token_seconds";

/// The buckets of the histograms; `durations` are those of long durations.
pub(crate) fn buckets(
    durations: &'static [f64],
) -> impl Iterator<Item = (&'static str, &'static [f64])> {
    let durations = DURATIONS.into_iter().map(move |name| (name, durations));
    durations.chain(BUCKETS)
}

/// The histograms of long durations, in seconds.
const DURATIONS: [&str; 4] = [QUEUE_WAIT, ENGINE_TIME, REQUEST_DURATION, FIRST_TOKEN];

/// The histograms with buckets of their own.
const BUCKETS: [(&str, &[f64]); 2] = [
    (
        TOKEN,
        &[
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
        ],
    ),
    (
        COST_RATIO,
        &[0.1, 0.25, 0.5, 0.75, 0.9, 1.1, 1.33, 2.0, 4.0, 10.0],
    ),
];

/// Describes all metric families to the installed recorder.
pub(crate) fn describe() {
    describe_histogram!(
        QUEUE_WAIT,
        Unit::Seconds,
        "Time that requests waited for the model, by outcome"
    );
    describe_histogram!(
        ENGINE_TIME,
        Unit::Seconds,
        "Time of the engine that requests used"
    );
    describe_counter!(PROMPT_TOKENS, "Prompt tokens that the engine has read");
    describe_counter!(GENERATED_TOKENS, "Tokens that the engine has generated");
    describe_counter!(RESTARTS, "Restarts of the engine, by reason");
    describe_counter!(
        RESUMES,
        "Generations that were resumed because of a fault of the engine"
    );
    describe_histogram!(
        COST_RATIO,
        "Time of the engine, divided by its estimate; of completed requests"
    );
    describe_histogram!(
        REQUEST_DURATION,
        Unit::Seconds,
        "Time from the arrival of a request to its last token"
    );
    describe_histogram!(
        FIRST_TOKEN,
        Unit::Seconds,
        "Time from the arrival of a request to its first token"
    );
    describe_histogram!(
        TOKEN,
        Unit::Seconds,
        "Time for each token after the first one"
    );
}

/// How a request left the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueOutcome {
    Admitted,
    /// The queue or the share of the principal is full, or another principal took its place.
    Full,
    Timeout,
    /// The client has left.
    Left,
    TooCostly,
}

impl QueueOutcome {
    fn label(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Full => "full",
            Self::Timeout => "timeout",
            Self::Left => "left",
            Self::TooCostly => "too_costly",
        }
    }
}

/// Why an engine was restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RestartReason {
    Died,
    Stuck,
}

/// The metrics of a model.
pub(super) struct EngineMetrics {
    model: Arc<str>,
    resumes: AtomicU64,
    restarts: AtomicU64,
    /// Looked up at the first request, when the recorder is installed.
    handles: OnceLock<Handles>,
}

struct Handles {
    engine_time: Histogram,
    prompt_tokens: Counter,
    generated_tokens: Counter,
    resumes: Counter,
    cost_ratio: Histogram,
    request_duration: Histogram,
    first_token: Histogram,
    token: Histogram,
}

impl EngineMetrics {
    pub(super) fn new(model: &str) -> Self {
        Self {
            model: model.into(),
            resumes: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            handles: OnceLock::new(),
        }
    }

    /// Records how long a request has waited.
    pub(super) fn queued(&self, outcome: QueueOutcome, waited: Duration) {
        let model = self.model.clone();
        histogram!(QUEUE_WAIT, "model" => model, "outcome" => outcome.label()).record(waited);
    }

    /// Records the time of the engine that a request has used.
    pub(super) fn used(&self, time: Duration) {
        self.handles().engine_time.record(time);
    }

    /// Counts the tokens of a prompt that the engine has read.
    pub(super) fn read(&self, tokens: usize) {
        let tokens = u64::try_from(tokens).unwrap_or(u64::MAX);
        self.handles().prompt_tokens.increment(tokens);
    }

    /// Counts generated tokens.
    pub(super) fn generated(&self, tokens: usize) {
        let tokens = u64::try_from(tokens).unwrap_or(u64::MAX);
        self.handles().generated_tokens.increment(tokens);
    }

    /// Records the time to the first token.
    pub(super) fn first_token(&self, after: Duration) {
        self.handles().first_token.record(after);
    }

    /// Records the mean time of the tokens after the first one.
    pub(super) fn tokens(&self, count: usize, took: Duration) {
        if let Ok(count) = u32::try_from(count)
            && let Some(each) = took.checked_div(count)
        {
            self.handles().token.record(each);
        }
    }

    /// Records a request that the engine has completed.
    pub(super) fn completed(&self, duration: Duration, took: Duration, estimate: Estimate) {
        let handles = self.handles();
        handles.request_duration.record(duration);
        let estimate = estimate.total().as_secs_f64();
        if estimate > 0.0 {
            handles.cost_ratio.record(took.as_secs_f64() / estimate);
        }
    }

    /// The number of resumed generations.
    pub(super) fn resumes(&self) -> u64 {
        self.resumes.load(Ordering::Relaxed)
    }

    /// Counts a generation that is resumed.
    pub(super) fn resumed(&self) {
        self.resumes.fetch_add(1, Ordering::Relaxed);
        self.handles().resumes.increment(1);
    }

    /// The number of restarts of the engine.
    pub(super) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Counts a restart of the engine.
    pub(super) fn restarted(&self, reason: RestartReason) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
        let reason = match reason {
            RestartReason::Died => "died",
            RestartReason::Stuck => "stuck",
        };
        counter!(RESTARTS, "model" => self.model.clone(), "reason" => reason).increment(1);
    }

    fn handles(&self) -> &Handles {
        self.handles.get_or_init(|| {
            let model = || self.model.clone();
            let gen_ai = |name: &'static str| {
                histogram!(
                    name,
                    "gen_ai_provider_name" => "stockade",
                    "gen_ai_operation_name" => "chat",
                    "gen_ai_request_model" => model()
                )
            };
            Handles {
                engine_time: histogram!(ENGINE_TIME, "model" => model()),
                prompt_tokens: counter!(PROMPT_TOKENS, "model" => model()),
                generated_tokens: counter!(GENERATED_TOKENS, "model" => model()),
                resumes: counter!(RESUMES, "model" => model()),
                cost_ratio: histogram!(COST_RATIO, "model" => model()),
                request_duration: gen_ai(REQUEST_DURATION),
                first_token: gen_ai(FIRST_TOKEN),
                token: gen_ai(TOKEN),
            }
        })
    }
}

impl fmt::Debug for EngineMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EngineMetrics").field(&self.model).finish()
    }
}
