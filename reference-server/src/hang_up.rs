//! SIGHUP: log files are opened anew, and the configuration is read again.

use std::sync::Arc;

use stockade::Fence;
use stockade_audit::{EventKind, SecurityEvent};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task,
};

use crate::{Config, StartError};

/// Reads the configuration as at the start.
pub(crate) type Reread = Arc<dyn Fn() -> Result<Config, StartError> + Send + Sync>;

/// The signal, and what is read when it comes.
pub(crate) struct HangUps {
    signals: Signal,
    reread: Reread,
}

impl HangUps {
    /// Listens from now on. A signal that comes before anybody answers it waits; without a
    /// listener it would end the process.
    ///
    /// # Errors
    /// When the system does not let the process listen.
    pub(crate) fn listen(reread: Reread) -> Result<Self, StartError> {
        let signals = signal(SignalKind::hangup())
            .map_err(|error| StartError::new(format!("cannot listen to SIGHUP: {error}")))?;
        Ok(Self { signals, reread })
    }

    /// Answers the signal until the process ends. Signals that come meanwhile are one.
    pub(crate) async fn follow(mut self, fence: Fence) {
        let result = |result| metrics::counter!("stockade_reloads_total", "result" => result);
        // Both are there from the start, so that the first bad file is a rise and no birth.
        let (taken, rejected) = (result("taken"), result("rejected"));
        while self.signals.recv().await.is_some() {
            // First, so that the new files say what became of the configuration.
            fence.audit().reopen();
            let reread = Arc::clone(&self.reread);
            let read = task::spawn_blocking(move || reread()).await;
            let read = read
                .map_err(|error| StartError::of("reading the configuration", &error))
                .flatten();
            match read.and_then(|config| reload(&fence, &config)) {
                Ok(()) => {
                    taken.increment(1);
                    tracing::info!("reloaded the configuration and opened log files anew");
                }
                Err(error) => {
                    rejected.increment(1);
                    reject(&fence, &error);
                }
            }
        }
    }
}

fn reload(fence: &Fence, config: &Config) -> Result<(), StartError> {
    fence
        .reload(&config.fence)
        .map_err(|error| StartError::new(error.to_string()))
}

fn reject(fence: &Fence, error: &StartError) {
    tracing::error!(%error, "the new configuration is not taken; the old one stays in force");
    let event = SecurityEvent::new(EventKind::ConfigRejected);
    fence.audit().event(event.detail(error.to_string()));
}
