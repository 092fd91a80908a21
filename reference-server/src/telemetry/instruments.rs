//! OTLP metrics, with the names and buckets of OpenTelemetry's semantic conventions.

use opentelemetry::{
    KeyValue,
    metrics::{Histogram, Meter},
};

/// The buckets of durations of HTTP requests in seconds, up to a long chat.
const HTTP_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0,
    120.0, 300.0,
];
const REQUEST_SECONDS: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
const FIRST_TOKEN_SECONDS: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
const TOKEN_SECONDS: &[f64] = &[
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
];
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// The instruments.
pub(super) struct Instruments {
    http_duration: Histogram<f64>,
    request_duration: Histogram<f64>,
    first_token: Histogram<f64>,
    token: Histogram<f64>,
    tokens: Histogram<u64>,
}

/// What the requests for a model measure.
pub(super) struct ModelUse<'a> {
    /// The operation, the provider and the model.
    pub(super) attributes: &'a [KeyValue],
    /// The attribute of a failure.
    pub(super) error: Option<KeyValue>,
    pub(super) seconds: f64,
    /// The time to the first event of a stream, in seconds.
    pub(super) first_token: Option<f64>,
    /// The time for each token of a complete stream after the first one, in seconds.
    pub(super) token: Option<f64>,
    pub(super) input_tokens: Option<u64>,
    pub(super) output_tokens: Option<u64>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Self {
        let seconds = |name: &'static str, description: &'static str, buckets: &[f64]| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(description)
                .with_boundaries(buckets.to_vec())
                .build()
        };
        Self {
            http_duration: seconds(
                "http.server.request.duration",
                "Duration of HTTP server requests",
                HTTP_SECONDS,
            ),
            request_duration: seconds(
                "gen_ai.server.request.duration",
                "Time from the arrival of a request to its last token",
                REQUEST_SECONDS,
            ),
            first_token: seconds(
                "gen_ai.server.time_to_first_token",
                "Time from the arrival of a request to the first event of its stream",
                FIRST_TOKEN_SECONDS,
            ),
            token: seconds(
                "gen_ai.server.time_per_output_token",
                "Time for each token of a stream after the first one",
                TOKEN_SECONDS,
            ),
            tokens: meter
                .u64_histogram("gen_ai.client.token.usage")
                .with_unit("{token}")
                .with_description("Tokens of prompts and completions")
                .with_boundaries(TOKENS.to_vec())
                .build(),
        }
    }

    /// Records an HTTP request.
    pub(super) fn http(&self, seconds: f64, attributes: &[KeyValue]) {
        self.http_duration.record(seconds, attributes);
    }

    /// Records a request that a model has answered, or was to answer.
    pub(super) fn model(&self, used: ModelUse<'_>) {
        let attributes = used.attributes;
        for (seconds, histogram) in [
            (used.first_token, &self.first_token),
            (used.token, &self.token),
        ] {
            if let Some(seconds) = seconds {
                histogram.record(seconds, attributes);
            }
        }
        for (kind, tokens) in [("input", used.input_tokens), ("output", used.output_tokens)] {
            if let Some(tokens) = tokens {
                let kind = KeyValue::new("gen_ai.token.type", kind);
                self.tokens.record(tokens, &with(attributes, Some(kind)));
            }
        }
        let attributes = with(attributes, used.error);
        self.request_duration.record(used.seconds, &attributes);
    }
}

fn with(attributes: &[KeyValue], more: Option<KeyValue>) -> Vec<KeyValue> {
    attributes.iter().cloned().chain(more).collect()
}
