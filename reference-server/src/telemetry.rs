//! Traces and metrics for an OpenTelemetry collector.
//!
//! 1. Each request has one span, except health probes. It has the semantic conventions of HTTP
//!    servers and of generative AI, and what the audit record has of the decision; no prompts, no
//!    completions, no credentials and no addresses of clients. Each attempt at an upstream is a
//!    child of it, by the conventions of HTTP clients, and so is each guard, with `guard_spans`.
//! 2. A client decides nothing by its `traceparent`, unless `trust_incoming` permits it. The
//!    headers of a client's trace, and its `baggage`, are removed. Upstreams get the span of the
//!    attempt as their parent.
//! 3. An export never delays a request. Spans wait in a queue of fixed length, are dropped when it
//!    is full, and are counted.
//! 4. OTLP metrics are recorded with the span, in one place for models in this process and of
//!    upstreams. The metrics in Prometheus format are independent of them, but get exemplars.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use metrics::describe_counter;
use opentelemetry::{
    Key, KeyValue,
    metrics::MeterProvider as _,
    trace::{FutureExt as _, TracerProvider as _},
};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter};
use opentelemetry_sdk::{
    Resource,
    metrics::SdkMeterProvider,
    trace::{Sampler, SdkTracer, SdkTracerProvider},
};
use tokio::task;

mod attempt_span;
mod collector;
mod conventions;
mod exemplars;
mod export;
mod export_log;
mod guard_spans;
mod instruments;
mod open_metrics;
mod request_span;
mod trace_headers;

use crate::{
    Config, StartError,
    api::routes,
    config::{TelemetryConfig, TrustIncoming},
    models::Models,
};
pub(crate) use attempt_span::AttemptSpan;
use collector::CollectorClient;
pub(crate) use exemplars::Exemplars;
use export::BoundedSpans;
use export_log::{DROPPED_SPANS, EXPORT_FAILURES, ExportLog};
use instruments::Instruments;
use request_span::RequestSpan;
use trace_headers::INVALID_TRACEPARENTS;

/// The name of the instrumentation, and of the service by default.
const NAME: &str = env!("CARGO_PKG_NAME");

/// How long the shutdown waits for the last export of each kind. That of metrics has the same limit
/// in the SDK.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// The exporters of a server that does not run yet.
pub(crate) struct Telemetry {
    config: TelemetryConfig,
    is_https: bool,
    spans: SpanExporter,
    metrics: Option<MetricExporter>,
    log: Arc<ExportLog>,
    exemplars: Exemplars,
}

impl Telemetry {
    /// Reads the files of the settings; `None` without `[telemetry]`. Exemplars are those of a
    /// histogram with these bounds.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read or a setting is invalid.
    pub(crate) fn open(
        config: &Config,
        bounds: &'static [f64],
    ) -> Result<Option<Self>, StartError> {
        let Some(telemetry) = &config.telemetry else {
            return Ok(None);
        };
        let endpoint = telemetry.endpoint();
        let endpoint = endpoint.map_err(|error| {
            let error = config.fence.locate(error);
            StartError::new(error.to_string())
        })?;
        let log = Arc::new(ExportLog::default());
        let client = CollectorClient::new(telemetry, Arc::clone(&log))?;
        let invalid = |error: ExporterBuildError| StartError::context("invalid telemetry", &error);
        Ok(Some(Self {
            config: telemetry.clone(),
            is_https: config.server.tls.is_some(),
            spans: collector::spans(&endpoint, client.clone()).map_err(invalid)?,
            metrics: telemetry
                .metrics
                .then(|| collector::metrics(&endpoint, client))
                .transpose()
                .map_err(invalid)?,
            log,
            exemplars: Exemplars::new(bounds),
        }))
    }

    /// The exemplars of the requests that it will trace.
    pub(crate) fn exemplars(&self) -> Exemplars {
        self.exemplars.clone()
    }

    /// Starts the threads that export.
    pub(crate) fn start(self, models: Models) -> RunningTelemetry {
        let resource = resource(&self.config);
        let spans = BoundedSpans::start(self.spans, Arc::clone(&self.log));
        let mut tracing = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_span_processor(spans);
        // Otherwise, the SDK reads `OTEL_TRACES_SAMPLER`.
        if let Some(ratio) = self.config.sample_ratio {
            let ratio = Sampler::TraceIdRatioBased(ratio.get());
            tracing = tracing.with_sampler(Sampler::ParentBased(Box::new(ratio)));
        }
        let tracing = tracing.build();
        let log = self.log;
        let metering = self.metrics.map(|exporter| {
            let exporter = export::CountedMetrics::new(exporter, log);
            SdkMeterProvider::builder()
                .with_resource(resource)
                .with_periodic_exporter(exporter)
                .build()
        });
        let instruments = metering.as_ref();
        let instruments = instruments.map(|provider| Instruments::new(&provider.meter(NAME)));
        RunningTelemetry {
            requests: Arc::new(Requests {
                tracer: tracing.tracer(NAME),
                instruments,
                trust: self.config.trust_incoming,
                guard_spans: self.config.guard_spans,
                scheme: if self.is_https { "https" } else { "http" },
                models,
                exemplars: self.exemplars,
            }),
            tracing,
            metering,
        }
    }
}

/// The telemetry of a server that runs.
pub(crate) struct RunningTelemetry {
    requests: Arc<Requests>,
    tracing: SdkTracerProvider,
    metering: Option<SdkMeterProvider>,
}

/// What all requests share.
struct Requests {
    tracer: SdkTracer,
    instruments: Option<Instruments>,
    trust: TrustIncoming,
    guard_spans: bool,
    scheme: &'static str,
    models: Models,
    exemplars: Exemplars,
}

impl RunningTelemetry {
    /// Wraps the fence, so that refusals have spans, too.
    pub(crate) fn wrap(&self, router: Router) -> Router {
        let requests = Arc::clone(&self.requests);
        router.layer(middleware::from_fn_with_state(requests, trace))
    }

    /// Exports what is left.
    pub(crate) async fn shutdown(self) {
        // Both wait for threads of the SDK.
        let tracing = self.tracing;
        let spans = task::spawn_blocking(move || tracing.shutdown_with_timeout(SHUTDOWN_TIMEOUT));
        let metrics = task::spawn_blocking(move || match self.metering {
            Some(metering) => metering.shutdown(),
            None => Ok(()),
        });
        let (spans, metrics) = tokio::join!(spans, metrics);
        if !matches!((spans, metrics), (Ok(Ok(())), Ok(Ok(())))) {
            tracing::warn!("the last spans or metrics could not be exported in time");
        }
    }
}

/// Traces a request.
async fn trace(
    State(requests): State<Arc<Requests>>,
    mut request: Request,
    next: Next,
) -> Response {
    // Supervisors send them every few seconds.
    if routes::is_probe(request.uri().path()) {
        return next.run(request).await;
    }
    let span = RequestSpan::start(requests, &mut request);
    let response = next.run(request).with_context(span.context()).await;
    span.respond(response)
}

/// The attributes of the service. Precedence: the configuration, `OTEL_SERVICE_NAME` and
/// `OTEL_RESOURCE_ATTRIBUTES`, then the defaults.
fn resource(config: &TelemetryConfig) -> Resource {
    const SERVICE_NAME: Key = Key::from_static_str("service.name");

    let detected = Resource::builder().build().get(&SERVICE_NAME);
    // The SDK's default for a service without a name.
    let is_unknown = |name: String| name.starts_with("unknown_service");
    let is_unnamed = detected.is_none_or(|name| is_unknown(name.to_string()));
    let name = config.service_name.clone();
    let name = name.or_else(|| is_unnamed.then(|| NAME.to_owned()));
    let attributes = config.resource_attributes.iter();
    let attributes = attributes.map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder()
        .with_attribute(version)
        .with_attributes(attributes);
    match name {
        Some(name) => builder.with_service_name(name).build(),
        None => builder.build(),
    }
}

/// Describes the metrics of the exports.
pub(crate) fn describe() {
    describe_counter!(
        EXPORT_FAILURES,
        "Exports to the OpenTelemetry collector that failed, by signal"
    );
    describe_counter!(
        DROPPED_SPANS,
        "Spans that were not exported, by reason: a full queue, or a failed export"
    );
    describe_counter!(
        INVALID_TRACEPARENTS,
        "Requests whose traceparent was malformed and therefore ignored"
    );
}
