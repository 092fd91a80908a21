//! What an operator tells a server that runs.

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

/// How long answers may take to end, once the server is told to stop.
const GRACE: Duration = Duration::from_secs(30);

/// How long the last records may take to be written.
const FLUSH: Duration = Duration::from_secs(5);

/// Takes over a changed configuration, and opens the files of records anew, as whoever
/// rotates them wants it.
pub(crate) fn reload_on_hangup(fence: Fence, config: PathBuf) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            fence.audit().reopen();
            if let Err(error) = reload(&fence, &config) {
                // What was in force stays in force.
                tracing::error!(%error, "not reloaded");
            }
        }
    });
    Ok(())
}

fn reload(fence: &Fence, config: &Path) -> Result<(), ConfigError> {
    fence.reload(&Config::read(config, &Environment::from_process())?)
}

/// That the server is to stop.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

/// Hears of SIGTERM and Ctrl-C.
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
    /// Ends when the server is told to stop.
    pub(crate) async fn begun(mut self) {
        // A sender that is gone has nothing more to say than this.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Ends when answers have had the time to end.
    pub(crate) async fn overdue(self) {
        self.begun().await;
        time::sleep(GRACE).await;
    }
}

/// Waits for the last records, off the async threads.
pub(crate) async fn flush(fence: &Fence) {
    let audit = fence.audit().clone();
    let flushed = task::spawn_blocking(move || audit.flush(FLUSH)).await;
    if !matches!(flushed, Ok(Ok(()))) {
        tracing::error!("the last records could not be written in time");
    }
}
