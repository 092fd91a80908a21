//! SIGHUP: log files are opened anew, and the configuration and the certificate are read
//! again.

use std::sync::Arc;

use stockade::Fence;
use stockade_audit::{EventKind, SecurityEvent};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task,
};

use crate::{
    Config, StartError,
    tls::{Identity, Tls},
};

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
    pub(crate) async fn follow(mut self, fence: Fence, tls: Option<Tls>) {
        let result = |result| metrics::counter!("stockade_reloads_total", "result" => result);
        // Both are there from the start, so that the first bad file is a rise and no birth.
        let (taken, rejected) = (result("taken"), result("rejected"));
        while self.signals.recv().await.is_some() {
            // First, so that the new files say what became of the configuration.
            fence.audit().reopen();
            let (reread, with_tls) = (Arc::clone(&self.reread), tls.is_some());
            let read = task::spawn_blocking(move || read(&*reread, with_tls)).await;
            let read = read
                .map_err(|error| StartError::of("reading the configuration", &error))
                .flatten();
            match read.and_then(|files| reload(&fence, tls.as_ref(), files)) {
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

/// Whether there is TLS at all is, as most of the section `[server]`, for the next start.
fn read(
    reread: &dyn Fn() -> Result<Config, StartError>,
    with_tls: bool,
) -> Result<(Config, Option<Identity>), StartError> {
    let config = reread()?;
    let files = config.server.tls.as_ref().filter(|_| with_tls);
    let identity = files.map(Identity::read).transpose()?;
    Ok((config, identity))
}

/// All of it or nothing: what can fail comes first.
fn reload(
    fence: &Fence,
    tls: Option<&Tls>,
    (config, identity): (Config, Option<Identity>),
) -> Result<(), StartError> {
    fence
        .reload(&config.fence)
        .map_err(|error| StartError::new(error.to_string()))?;
    if let Some((tls, identity)) = tls.zip(identity) {
        tls.show(identity);
    }
    Ok(())
}

fn reject(fence: &Fence, error: &StartError) {
    tracing::error!(%error, "the new configuration is not taken; the old one stays in force");
    let event = SecurityEvent::new(EventKind::ConfigRejected);
    fence.audit().event(event.detail(error.to_string()));
}
