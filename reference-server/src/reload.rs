//! Reloads the configuration and the certificate when their files change and on SIGHUP, which
//! also reopens the log files.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;
use metrics::{Counter, Gauge};
use stockade::Fence;
use stockade_audit::{EventKind, SecurityEvent};
use stockade_watch::{FileVersions, FileWatch, SourceHealth};
use tokio::{
    runtime::Handle,
    signal::unix::{Signal, SignalKind, signal},
    task,
};

use crate::{
    Config, StartError,
    tls::{Identity, WatchedTls},
};

/// Loads the configuration as it was loaded at startup.
#[derive(Clone)]
pub(crate) struct ConfigSource {
    path: PathBuf,
    /// The file versions before the first load.
    versions: FileVersions,
    load: Arc<dyn Fn() -> Result<Config, StartError> + Send + Sync>,
}

impl ConfigSource {
    /// Records the file's version; create it before the first load, so that no change is missed.
    pub(crate) fn new<F>(path: PathBuf, load: F) -> Self
    where
        F: Fn() -> Result<Config, StartError> + Send + Sync + 'static,
    {
        Self {
            versions: FileVersions::of([&path]),
            path,
            load: Arc::new(load),
        }
    }

    /// Loads the configuration.
    pub(crate) fn load(&self) -> Result<Config, StartError> {
        (self.load)()
    }
}

/// A SIGHUP listener; without one, the signal would end the process.
pub(crate) struct ReloadSignal(Signal);

impl ReloadSignal {
    /// Starts to listen. A signal that arrives before it is handled stays pending.
    ///
    /// # Errors
    /// Returns an error if the signal handler cannot be installed.
    pub(crate) fn listen() -> Result<Self, StartError> {
        signal(SignalKind::hangup())
            .map(Self)
            .map_err(|error| StartError::new(format!("cannot listen for SIGHUP: {error}")))
    }
}

/// Reloads the configuration on request. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ReloadHandle(Arc<Shared>);

impl ReloadHandle {
    /// The path of the configuration file.
    pub(crate) fn path(&self) -> &Path {
        &self.0.source.path
    }

    /// The configuration in effect.
    pub(crate) fn current(&self) -> &Arc<ArcSwap<Config>> {
        &self.0.current
    }

    /// Reloads as on SIGHUP. Returns the changed settings that take effect at the next start.
    /// Blocks.
    ///
    /// # Errors
    /// Returns an error if the new configuration is rejected; the old one stays active.
    pub(crate) fn reload(&self) -> Result<Vec<String>, StartError> {
        self.0.reload_on_signal()
    }
}

/// Reloads the configuration of a running server.
pub(crate) struct Reloader {
    shared: Arc<Shared>,
    // Stops watching when dropped.
    _watch: FileWatch,
}

struct Shared {
    source: ConfigSource,
    current: Arc<ArcSwap<Config>>,
    fence: Fence,
    tls: Option<WatchedTls>,
    health: SourceHealth,
    applied: Counter,
    rejected: Counter,
    pending: Gauge,
    /// The last attempt; locked during a reload, so that only one runs at a time.
    last: Mutex<LastAttempt>,
}

/// The gauge of the settings that take effect at the next start.
pub(crate) const PENDING_SETTINGS: &str = "stockade_pending_settings";

/// The beginning of the name of the configuration file among the watched sources.
pub(crate) const CONFIGURATION: &str = "configuration";

/// The settings of the server itself that a reload applies, if TLS stays enabled.
const TLS_FILES: [&str; 6] = [
    "server.tls.certificate_file",
    "server.tls.key_file",
    "server.tls.ocsp_file",
    "server.tls.client_ca_file",
    "server.tls.client_crl_file",
    "server.tls.client_auth",
];

struct LastAttempt {
    versions: FileVersions,
    error: Option<String>,
}

impl Reloader {
    /// Starts to watch the configuration file.
    ///
    /// # Errors
    /// Returns an error if the watcher thread cannot be started.
    pub(crate) fn start(
        source: ConfigSource,
        config: &Config,
        fence: Fence,
        tls: Option<WatchedTls>,
    ) -> Result<Self, StartError> {
        // Registers them at startup, so that the first failure shows as an increase.
        let count = |result| metrics::counter!("stockade_reloads_total", "result" => result);
        let health = SourceHealth::new(format!("{CONFIGURATION} {}", source.path.display()));
        let versions = source.versions.clone();
        let shared = Arc::new(Shared {
            last: Mutex::new(LastAttempt {
                versions: versions.clone(),
                error: None,
            }),
            source,
            current: Arc::new(ArcSwap::from_pointee(config.clone())),
            fence,
            tls,
            health: health.clone(),
            applied: count("taken"),
            rejected: count("rejected"),
            pending: metrics::gauge!(PENDING_SETTINGS),
        });
        let (watched, runtime) = (Arc::clone(&shared), Handle::current());
        let watch = FileWatch::start(versions, health, move || {
            let _entered = runtime.enter();
            watched.reload_on_change()
        });
        let watch = watch
            .map_err(|error| StartError::context("cannot watch the configuration file", &error))?;
        Ok(Self {
            shared,
            _watch: watch,
        })
    }

    /// Reloads on request.
    pub(crate) fn handle(&self) -> ReloadHandle {
        ReloadHandle(Arc::clone(&self.shared))
    }

    /// The health of the configuration file.
    pub(crate) fn health(&self) -> SourceHealth {
        self.shared.health.clone()
    }

    /// Reloads on each SIGHUP until the process ends. Signals that arrive during a reload are
    /// coalesced into one.
    pub(crate) async fn run(self, mut signals: ReloadSignal) {
        while signals.0.recv().await.is_some() {
            let shared = Arc::clone(&self.shared);
            let reload = move || drop(shared.reload_on_signal());
            if let Err(error) = task::spawn_blocking(reload).await {
                tracing::error!(%error, "the reload panicked");
            }
        }
    }
}

impl Shared {
    /// Reloads unconditionally, on SIGHUP or on request, and logs the outcome.
    fn reload_on_signal(&self) -> Result<Vec<String>, StartError> {
        // First, so that the outcome of the reload is recorded in the new files.
        self.fence.audit().reopen();
        let mut last = self.last_attempt();
        last.versions = FileVersions::of([&self.source.path]);
        let reloaded = self.reload();
        match &reloaded {
            Ok(_) => {
                last.error = None;
                self.health.succeeded();
                self.applied.increment(1);
                tracing::info!("reloaded the configuration and reopened the log files");
            }
            Err(error) => {
                let text = error.to_string();
                // Shares its state with the watcher, which then does not report the failure again.
                self.health.failed(&text);
                tracing::error!(
                    error = text,
                    "the new configuration was rejected; the old one stays active"
                );
                self.reject(&mut last, text);
            }
        }
        reloaded
    }

    /// Reloads after the file has changed, or retries a file that was rejected.
    fn reload_on_change(&self) -> Result<(), StartError> {
        let mut last = self.last_attempt();
        let versions = FileVersions::of([&self.source.path]);
        if last.error.is_none() && last.versions == versions {
            // SIGHUP has already reloaded this version.
            return Ok(());
        }
        last.versions = versions;
        match self.reload() {
            Ok(_) => {
                last.error = None;
                self.applied.increment(1);
                Ok(())
            }
            Err(error) => {
                let text = error.to_string();
                // The watcher logs it. A retry with the same error is not counted again.
                if last.error.as_ref() != Some(&text) {
                    self.reject(&mut last, text);
                }
                Err(error)
            }
        }
    }

    fn reject(&self, last: &mut LastAttempt, error: String) {
        self.rejected.increment(1);
        let event = SecurityEvent::new(EventKind::ConfigRejected);
        self.fence.audit().event(event.detail(error.clone()));
        last.error = Some(error);
    }

    /// Applies all changes or none: the steps that can fail come first. Reports and returns those
    /// that take effect at the next start.
    fn reload(&self) -> Result<Vec<String>, StartError> {
        let config = self.source.load()?;
        let tls = self.tls.as_ref().zip(config.server.tls.as_ref());
        let versions = tls.map(|(_, files)| WatchedTls::versions(files));
        let identity = tls.map(|(_, files)| Identity::read(files)).transpose()?;
        let pending = self.fence.reload(&config.fence);
        let mut pending = pending.map_err(|error| StartError::new(error.to_string()))?;
        if let (Some((tls, files)), Some(versions), Some(identity)) = (tls, versions, identity) {
            tls.replace(files, versions, identity)?;
            pending.retain(|name| !TLS_FILES.contains(&name.as_str()));
        }
        self.report(&pending);
        self.current.store(Arc::new(config));
        Ok(pending)
    }

    fn report(&self, pending: &[String]) {
        self.pending
            .set(u32::try_from(pending.len()).unwrap_or(u32::MAX));
        if !pending.is_empty() {
            let settings = pending.join(", ");
            tracing::warn!(settings, "changed settings take effect at the next start");
        }
    }

    fn last_attempt(&self) -> MutexGuard<'_, LastAttempt> {
        // A reload that panicked has not modified it.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
