//! The lifecycle of a server process: start, load the model, serve, shut down.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::time;

use crate::{
    Config, StartError,
    backend::{Backend, MistralRs, Phase},
    reload::{ConfigSource, ReloadSignal, Reloader},
    server::{self, Server},
};

/// How often the backend's status is polled while the model loads.
const STATUS_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Serves until a signal stops it. With a `source`, SIGHUP reloads the configuration; without
/// one, SIGHUP keeps its default action and ends the process when its terminal closes.
pub(crate) async fn serve(
    config: Config,
    source: Option<ConfigSource>,
    reporter: impl ProgressReporter,
) -> Result<(), StartError> {
    let shutdown = server::shutdown_signals()?;
    let reload_signal = source
        .as_ref()
        .map(|_| ReloadSignal::listen())
        .transpose()?;
    let model = config.backend()?;
    model
        .check()
        .map_err(|fault| StartError::new(format!("model.source: {fault}")))?;
    // Bind first, so that a second server fails before it loads a model.
    let mut server = Server::bind(&config).await?;
    let address = server.address();
    let scheme = match server.tls() {
        Some(_) => "https",
        None => "http",
    };
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(%address, scheme, model = model.name, version, "listening");
    for layer in server.fence().to_string().lines() {
        tracing::info!("{layer}");
    }
    if let Some((source, reload_signal)) = source.zip(reload_signal) {
        let reloader = Reloader::start(source, server.fence().clone(), server.tls().cloned())?;
        server.add_source(reloader.health());
        tokio::spawn(reloader.run(reload_signal));
    }
    let backend: Arc<dyn Backend> = Arc::new(MistralRs::start(model));
    let reporting = tokio::spawn(report_progress(Arc::clone(&backend), address, reporter));
    server.run(backend, shutdown).await;
    reporting.abort();
    Ok(())
}

/// Receives the progress of loading the model.
pub(crate) trait ProgressReporter: Send + 'static {
    /// Loading has reached this stage.
    fn loading(&mut self, stage: &str);

    /// The model is ready.
    fn ready(&mut self, address: SocketAddr, device: &str);

    /// Loading failed and will be retried. Called for each poll until a retry succeeds.
    fn failed(&mut self, address: SocketAddr, why: &str);
}

async fn report_progress(
    backend: Arc<dyn Backend>,
    address: SocketAddr,
    mut reporter: impl ProgressReporter,
) {
    loop {
        let status = backend.status();
        match status.phase {
            Phase::Loading(stage) => reporter.loading(&stage),
            Phase::Ready => return reporter.ready(address, &status.device),
            Phase::Failed(why) => reporter.failed(address, &why),
        }
        time::sleep(STATUS_POLL_INTERVAL).await;
    }
}

/// Reports progress in the log.
#[derive(Default)]
pub(crate) struct LogReporter {
    last: String,
    /// Retries after a failure are not logged one by one.
    has_failed: bool,
}

impl ProgressReporter for LogReporter {
    fn loading(&mut self, stage: &str) {
        if !self.has_failed && self.last != stage {
            stage.clone_into(&mut self.last);
            tracing::info!(stage, "loading the model");
        }
    }

    fn ready(&mut self, _address: SocketAddr, device: &str) {
        tracing::info!(device, "the model is ready");
    }

    fn failed(&mut self, _address: SocketAddr, _why: &str) {
        // The backend logs each new cause itself.
        self.has_failed = true;
    }
}
