//! The lifecycle of a server process: start, load the model, serve, shut down.

use std::{mem, net::SocketAddr, time::Duration};

use tokio::{task::JoinSet, time};

#[cfg(feature = "mistralrs")]
use crate::backend::MistralRsConfig;
use crate::{
    Config, ModelConfig, StartError,
    admin::AdminLinks,
    backend::{ByteProgress, Phase},
    cli::print,
    memory_protection,
    models::Models,
    reload::{ConfigSource, ReloadSignal, Reloader},
    server::{self, Server, ShutdownSignal},
    systemd::{self, Sockets},
};

/// How often the backend's status is polled while the model loads.
const STATUS_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Serves until a signal stops it. With a `source`, SIGHUP reloads the configuration; without
/// one, SIGHUP keeps its default action and ends the process when its terminal closes. Listens on
/// those of the `sockets` whose address is configured.
pub(crate) async fn serve(
    config: Config,
    source: Option<ConfigSource>,
    sockets: Sockets,
    mut reporter: impl ProgressReporter,
) -> Result<(), StartError> {
    memory_protection::enable(&config.server);
    let shutdown = server::shutdown_signals()?;
    let reload_signal = source
        .as_ref()
        .map(|_| ReloadSignal::listen())
        .transpose()?;
    check_models(&config)?;
    log_warnings(&config);
    // Bind first, so that a second server fails before it loads a model.
    let mut server = Server::bind_to(&config, sockets).await?;
    let address = server.address();
    let scheme = match server.tls() {
        Some(_) => "https",
        None => "http",
    };
    let version = env!("CARGO_PKG_VERSION");
    let names: Vec<_> = config.models.iter().map(ModelConfig::api_name).collect();
    let models = names.join(", ");
    tracing::info!(%address, scheme, models, version, "listening");
    for layer in server.fence().to_string().lines() {
        tracing::info!("{layer}");
    }
    if let Some((source, reload_signal)) = source.zip(reload_signal) {
        let (fence, tls) = (server.fence().clone(), server.tls().cloned());
        let reloader = Reloader::start(source, &config, fence, tls)?;
        server.set_reload(reloader.handle());
        server.add_source(reloader.health());
        tokio::spawn(reloader.run(reload_signal));
    }
    let models = Models::start(&config)?;
    server.administer(&models);
    if let Some(links) = server.admin_links().await? {
        reporter.administration(links)?;
    }
    let mut tasks = JoinSet::new();
    tasks.spawn(report_progress(models.clone(), address, reporter));
    tasks.spawn(systemd::feed_watchdog());
    let mut stop = shutdown.clone();
    tasks.spawn(async move {
        server::requested(&mut stop, ShutdownSignal::Graceful).await;
        systemd::stopping();
    });
    systemd::ready();
    server.run(models, shutdown).await;
    Ok(())
}

/// Logs the unsafe settings of the server's sections; the fence logs its own.
fn log_warnings(config: &Config) {
    for warning in &config.warnings {
        tracing::warn!(
            remedy = warning.remedy.text,
            "configuration: {}{}",
            warning.location(),
            warning.reason
        );
    }
}

/// Checks for permanent errors of the models, before anything is started.
#[cfg(feature = "mistralrs")]
fn check_models(config: &Config) -> Result<(), StartError> {
    for model in config.models.iter().filter(|model| model.source.is_some()) {
        let checked = MistralRsConfig::from_model(model, &config.fence.body)?.check();
        checked.map_err(StartError::new)?;
    }
    Ok(())
}

#[cfg(not(feature = "mistralrs"))]
fn check_models(_config: &Config) -> Result<(), StartError> {
    Ok(())
}

/// Receives the progress of loading the model.
pub(crate) trait ProgressReporter: Send + 'static {
    /// The administration is ready.
    fn administration(&mut self, links: AdminLinks) -> Result<(), StartError>;

    /// Loading has reached this stage, and this progress in it.
    fn loading(&mut self, stage: &str, bytes: Option<ByteProgress>);

    /// The model is ready.
    fn ready(&mut self, address: SocketAddr, device: &str);

    /// Loading failed and will be retried. Called for each poll until a retry succeeds.
    fn failed(&mut self, address: SocketAddr, why: &str);
}

async fn report_progress(models: Models, address: SocketAddr, mut reporter: impl ProgressReporter) {
    loop {
        let status = models.startup_status();
        match status.phase {
            Phase::Loading(stage) => reporter.loading(&stage, status.bytes),
            Phase::Ready => return reporter.ready(address, &status.device),
            Phase::Failed(why) => reporter.failed(address, &why),
            // An administrator was faster.
            Phase::Unloaded => return,
        }
        time::sleep(STATUS_POLL_INTERVAL).await;
    }
}

/// Reports progress in the log.
#[derive(Default)]
pub(crate) struct LogReporter {
    last: String,
    /// The tenths of the bytes that were last logged.
    tenths: u64,
    /// Retries after a failure are not logged one by one.
    has_failed: bool,
}

impl ProgressReporter for LogReporter {
    fn administration(&mut self, links: AdminLinks) -> Result<(), StartError> {
        let AdminLinks {
            page,
            compatibility,
            setup,
        } = links;
        tracing::info!(page, "the administration is ready");
        if !compatibility.is_empty() {
            let systems = compatibility.join(", ");
            tracing::info!(systems, "the administration has compatibility routes");
        }
        match setup {
            // Not in the log, which others may read.
            Some(setup) => print(&format!(
                "Create the first user of the administration, within 24 hours:\n{setup}"
            )),
            None => Ok(()),
        }
    }

    fn loading(&mut self, stage: &str, bytes: Option<ByteProgress>) {
        if self.has_failed {
            return;
        }
        if self.last != stage {
            stage.clone_into(&mut self.last);
            systemd::status(&format!("loading the model: {stage}"));
            tracing::info!(stage, "loading the model");
        }
        if let Some(bytes) = bytes.filter(|bytes| self.is_step(*bytes)) {
            let ByteProgress { done, total } = bytes;
            tracing::info!(stage, done, total, "loading the model");
        }
    }

    fn ready(&mut self, _address: SocketAddr, device: &str) {
        systemd::status("ready");
        tracing::info!(device, "the model is ready");
    }

    fn failed(&mut self, _address: SocketAddr, _why: &str) {
        // The backend logs each new cause itself.
        if !mem::replace(&mut self.has_failed, true) {
            systemd::status("the model cannot be loaded; retrying, see the log");
        }
    }
}

impl LogReporter {
    /// Whether the progress is worth a line: each tenth is.
    fn is_step(&mut self, bytes: ByteProgress) -> bool {
        let tenths = bytes.done.saturating_mul(10).checked_div(bytes.total);
        let tenths = tenths.unwrap_or(0);
        mem::replace(&mut self.tenths, tenths) != tenths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_each_tenth_of_a_download() {
        let mut reporter = LogReporter::default();
        let total = 1000;
        let progress = (0..=total).map(|done| ByteProgress { done, total });
        assert_eq!(
            progress.filter(|bytes| reporter.is_step(*bytes)).count(),
            10
        );
    }
}
