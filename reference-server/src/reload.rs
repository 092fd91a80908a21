//! The configuration and the certificate are read again when their files change, and on
//! SIGHUP, which also opens log files anew.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use metrics::Counter;
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

/// How the configuration was read at the start, to read it again.
#[derive(Clone)]
pub(crate) struct ConfigSource {
    path: PathBuf,
    /// As they were before the first reading.
    versions: FileVersions,
    load: Arc<dyn Fn() -> Result<Config, StartError> + Send + Sync>,
}

impl ConfigSource {
    /// To be made before the file is read for the first time, so that no change is lost.
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

    /// Reads it.
    pub(crate) fn load(&self) -> Result<Config, StartError> {
        (self.load)()
    }
}

/// SIGHUP, from before anything answers it: without a listener it would end the process.
pub(crate) struct ReloadSignal(Signal);

impl ReloadSignal {
    /// Listens from now on. A signal that comes before it is answered waits.
    ///
    /// # Errors
    /// When the system does not let the process listen.
    pub(crate) fn listen() -> Result<Self, StartError> {
        signal(SignalKind::hangup())
            .map(Self)
            .map_err(|error| StartError::new(format!("cannot listen to SIGHUP: {error}")))
    }
}

/// Reloads a running server.
pub(crate) struct Reloader {
    shared: Arc<Shared>,
    // Ends with it.
    _watch: FileWatch,
}

struct Shared {
    source: ConfigSource,
    fence: Fence,
    tls: Option<WatchedTls>,
    health: SourceHealth,
    applied: Counter,
    rejected: Counter,
    /// What was tried last. Held while it is tried: one reload at a time.
    last: Mutex<LastAttempt>,
}

struct LastAttempt {
    versions: FileVersions,
    error: Option<String>,
}

impl Reloader {
    /// Follows the configuration file from now on.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn start(
        source: ConfigSource,
        fence: Fence,
        tls: Option<WatchedTls>,
    ) -> Result<Self, StartError> {
        // Both are registered at the start, so that the first failure shows as an increase.
        let count = |result| metrics::counter!("stockade_reloads_total", "result" => result);
        let health = SourceHealth::new(format!("configuration {}", source.path.display()));
        let versions = source.versions.clone();
        let shared = Arc::new(Shared {
            last: Mutex::new(LastAttempt {
                versions: versions.clone(),
                error: None,
            }),
            source,
            fence,
            tls,
            health: health.clone(),
            applied: count("taken"),
            rejected: count("rejected"),
        });
        let (watched, runtime) = (Arc::clone(&shared), Handle::current());
        let watch = FileWatch::start(versions, health, move || {
            let _entered = runtime.enter();
            watched.reload_on_change()
        });
        let watch =
            watch.map_err(|error| StartError::context("following the configuration", &error))?;
        Ok(Self {
            shared,
            _watch: watch,
        })
    }

    /// How the configuration file fares.
    pub(crate) fn health(&self) -> SourceHealth {
        self.shared.health.clone()
    }

    /// Answers SIGHUP until the process ends. Signals that come meanwhile are one.
    pub(crate) async fn run(self, mut signals: ReloadSignal) {
        while signals.0.recv().await.is_some() {
            let shared = Arc::clone(&self.shared);
            if let Err(error) = task::spawn_blocking(move || shared.reload_on_signal()).await {
                tracing::error!(%error, "the reload that SIGHUP asked for panicked");
            }
        }
    }
}

impl Shared {
    /// SIGHUP: now, and whatever the file's state.
    fn reload_on_signal(&self) {
        // First, so that the new files say what became of the configuration.
        self.fence.audit().reopen();
        let mut last = self.last_attempt();
        last.versions = FileVersions::of([&self.source.path]);
        match self.reload() {
            Ok(()) => {
                last.error = None;
                self.health.succeeded();
                self.applied.increment(1);
                tracing::info!("reloaded the configuration and opened log files anew");
            }
            Err(error) => {
                let text = error.to_string();
                // The state is shared with the watch, which then does not report it again.
                self.health.failed(&text);
                tracing::error!(
                    error = text,
                    "the new configuration is not taken; the old one stays in force"
                );
                self.reject(&mut last, text);
            }
        }
    }

    /// The file has changed, or was rejected and is tried again.
    fn reload_on_change(&self) -> Result<(), StartError> {
        let mut last = self.last_attempt();
        let versions = FileVersions::of([&self.source.path]);
        if last.error.is_none() && last.versions == versions {
            // SIGHUP was faster.
            return Ok(());
        }
        last.versions = versions;
        match self.reload() {
            Ok(()) => {
                last.error = None;
                self.applied.increment(1);
                Ok(())
            }
            Err(error) => {
                let text = error.to_string();
                // The watch logs it. Retries of the same are no further rejections.
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

    /// All of it or nothing: what can fail comes first. Whether there is TLS at all is, as most
    /// of the section `[server]`, for the next start.
    fn reload(&self) -> Result<(), StartError> {
        let config = self.source.load()?;
        let tls = self.tls.as_ref().zip(config.server.tls.as_ref());
        let versions = tls.map(|(_, files)| WatchedTls::versions(files));
        let identity = tls.map(|(_, files)| Identity::read(files)).transpose()?;
        self.fence
            .reload(&config.fence)
            .map_err(|error| StartError::new(error.to_string()))?;
        if let (Some((tls, files)), Some(versions), Some(identity)) = (tls, versions, identity) {
            tls.replace(files, versions, identity)?;
        }
        Ok(())
    }

    fn last_attempt(&self) -> MutexGuard<'_, LastAttempt> {
        // A reload that panicked has left it as it was.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
