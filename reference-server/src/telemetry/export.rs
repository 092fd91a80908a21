//! The queue of spans, and the exporters that count what fails.
//!
//! The batch processor of the SDK drops spans without a count when its queue is full. Here, spans
//! are counted in and out, so that its queue never is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter as ExportSpans,
        SpanProcessor,
    },
};

use super::export_log::{DropReason, ExportLog, Signal};

/// The maximum number of spans that wait or are being exported; about 2 KiB each.
const MAX_SPANS: usize = 4_096;
/// The maximum number of spans of an export.
const BATCH: usize = 512;

/// Passes spans to a thread that exports them, at most [`MAX_SPANS`] at a time.
#[derive(Debug)]
pub(super) struct BoundedSpans {
    batches: BatchSpanProcessor,
    held: Arc<AtomicUsize>,
    log: Arc<ExportLog>,
}

impl BoundedSpans {
    /// Starts the thread.
    pub(super) fn start(exporter: SpanExporter, log: Arc<ExportLog>) -> Self {
        let held = Arc::default();
        let exporter = CountedSpans {
            exporter,
            held: Arc::clone(&held),
            log: Arc::clone(&log),
        };
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(MAX_SPANS)
            .with_max_export_batch_size(BATCH)
            .build();
        let batches = BatchSpanProcessor::builder(exporter);
        Self {
            batches: batches.with_batch_config(config).build(),
            held,
            log,
        }
    }
}

impl SpanProcessor for BoundedSpans {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        let hold = |held| (held < MAX_SPANS).then_some(held + 1);
        let held = self
            .held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, hold);
        match held {
            Ok(_) => self.batches.on_end(span),
            Err(_) => self.log.dropped(1, DropReason::QueueFull),
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// Counts spans out, and failed exports.
#[derive(Debug)]
struct CountedSpans {
    exporter: SpanExporter,
    held: Arc<AtomicUsize>,
    log: Arc<ExportLog>,
}

impl ExportSpans for CountedSpans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let exported = self.exporter.export(batch).await;
        self.held.fetch_sub(spans, Ordering::Relaxed);
        if exported.is_err() {
            self.log.dropped(spans, DropReason::ExportFailed);
        }
        self.log.exported(Signal::Traces, &exported);
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Counts failed exports of metrics. Their values are not lost: the next export has the sums.
#[derive(Debug)]
pub(super) struct CountedMetrics {
    exporter: MetricExporter,
    log: Arc<ExportLog>,
}

impl CountedMetrics {
    pub(super) fn new(exporter: MetricExporter, log: Arc<ExportLog>) -> Self {
        Self { exporter, log }
    }
}

impl PushMetricExporter for CountedMetrics {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let exported = self.exporter.export(metrics).await;
        self.log.exported(Signal::Metrics, &exported);
        exported
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;
    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tokio::net::TcpListener;

    use super::*;
    use crate::{
        config::TelemetryConfig,
        telemetry::collector::{self, CollectorClient},
    };

    #[tokio::test(flavor = "multi_thread")]
    async fn spans_are_dropped_and_counted_when_the_queue_is_full() {
        // Connects clients, and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", silent.local_addr().unwrap());
        let recorder = PrometheusBuilder::new().build_recorder();
        let log = Arc::new(ExportLog::default());
        let client = CollectorClient::new(&TelemetryConfig::default(), Arc::clone(&log)).unwrap();
        let exporter = collector::spans(&endpoint.parse().unwrap(), client).unwrap();
        let spans = BoundedSpans::start(exporter, log);
        let held = Arc::clone(&spans.held);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(spans)
            .build();
        let tracer = provider.tracer("test");
        metrics::with_local_recorder(&recorder, || {
            for _ in 0..MAX_SPANS + 10 {
                drop(tracer.start("a"));
            }
        });
        assert_eq!(held.load(Ordering::Relaxed), MAX_SPANS);
        let metrics = recorder.handle().render();
        let line = "stockade_telemetry_dropped_spans_total{reason=\"queue_full\"} 10\n";
        assert!(metrics.contains(line), "{metrics}");
        // The export that is in progress would delay the end of the test.
        let _ = provider.shutdown_with_timeout(Duration::ZERO);
    }
}
