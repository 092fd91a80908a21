//! Exchanges with the database that are repeated for as long as the process runs.

use std::{
    fmt::Display,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use metrics::gauge;
use tokio::time;

/// An exchange that takes longer than this counts as failing. Longer than a pool waits for a
/// connection, so that its error is reported instead.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reports whether an exchange succeeds, in the log and in a metric.
pub(crate) struct ExchangeMonitor {
    /// The name of a gauge: 1 while the exchange fails or hangs.
    metric: &'static str,
    /// What the exchange does, such as `read revoked tokens`.
    purpose: &'static str,
    /// Set while the exchange fails or hangs.
    is_failing: Arc<AtomicBool>,
}

impl ExchangeMonitor {
    pub(crate) fn new(
        metric: &'static str,
        purpose: &'static str,
        is_failing: Arc<AtomicBool>,
    ) -> Self {
        Self {
            metric,
            purpose,
            is_failing,
        }
    }

    /// Waits for an exchange, and reports the result. `None` if it has failed.
    ///
    /// An exchange that hangs is reported but not cancelled: what it has sent may take effect
    /// later, and would be written again by the next one.
    pub(crate) async fn watch<T>(
        &mut self,
        exchange: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Option<T> {
        let mut exchange = pin!(exchange);
        let result = match time::timeout(PATIENCE, exchange.as_mut()).await {
            Ok(result) => result,
            Err(_) => {
                self.failed(&"the database does not respond");
                exchange.await
            }
        };
        match result {
            Ok(value) => {
                self.succeeded();
                Some(value)
            }
            Err(error) => {
                self.failed(&error);
                None
            }
        }
    }

    fn failed(&mut self, error: &dyn Display) {
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "cannot {}; retrying", self.purpose);
        }
        gauge!(self.metric).set(1.0);
    }

    fn succeeded(&mut self) {
        if self.is_failing.swap(false, Ordering::Relaxed) {
            tracing::info!("can {} again", self.purpose);
        }
        gauge!(self.metric).set(0.0);
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;
    use stockade_testkit::poll::until_async;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn reports_a_hang_until_it_ends() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let _recording = metrics::set_default_local_recorder(&recorder);
        let shows = |line| recorder.handle().render().lines().any(|one| one == line);
        let (answer, exchange) = oneshot::channel();
        let is_failing = Arc::new(AtomicBool::new(false));
        let state = Arc::clone(&is_failing);
        let watching = tokio::spawn(async {
            let mut monitor = ExchangeMonitor::new("exchange_failing", "exchange", state);
            monitor.watch(async { exchange.await.unwrap() }).await
        });
        until_async("the hang is reported", async || shows("exchange_failing 1")).await;
        assert!(!watching.is_finished(), "the exchange is cancelled");
        assert!(is_failing.load(Ordering::Relaxed));
        answer.send(Ok(7)).unwrap();
        assert_eq!(watching.await.unwrap(), Some(7));
        assert!(shows("exchange_failing 0"));
        assert!(!is_failing.load(Ordering::Relaxed));
    }
}
