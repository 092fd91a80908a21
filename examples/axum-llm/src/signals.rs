//! Signals: reload and graceful shutdown.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use stockade::{Config, ConfigError, Environment, Fence};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task, time,
};

/// The time that responses have to complete during shutdown.
const GRACE: Duration = Duration::from_secs(30);

/// The time that the last audit records have to be written.
const FLUSH: Duration = Duration::from_secs(5);

/// Reloads the configuration on SIGHUP and reopens the files of the audit log, as log rotation
/// requires.
pub(crate) fn reload_on_hangup(fence: Fence, config: PathBuf) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            fence.audit().reopen();
            if let Err(error) = reload(&fence, &config) {
                // The previous configuration stays active.
                tracing::error!(%error, "reload failed");
            }
        }
    });
    Ok(())
}

fn reload(fence: &Fence, config: &Path) -> Result<(), ConfigError> {
    fence.reload(&Config::read(config, &Environment::from_process())?)
}

/// The shutdown signal.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

/// Listens for SIGTERM and Ctrl-C.
pub(crate) fn stop() -> io::Result<Stop> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (sender, stop) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        sender.send_replace(true);
    });
    Ok(Stop(stop))
}

impl Stop {
    /// Completes when shutdown begins.
    pub(crate) async fn begun(mut self) {
        // The sender is dropped only after it has sent.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Completes when the grace period of the shutdown is over.
    pub(crate) async fn overdue(self) {
        self.begun().await;
        time::sleep(GRACE).await;
    }
}

/// Flushes the audit log on a blocking thread.
pub(crate) async fn flush(fence: &Fence) {
    let audit = fence.audit().clone();
    let flushed = task::spawn_blocking(move || audit.flush(FLUSH)).await;
    if !matches!(flushed, Ok(Ok(()))) {
        tracing::error!("the last audit records were not written in time");
    }
}
