//! When and how the server ends.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::StartError;

/// What the server is told about its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShutdownSignal {
    /// Go on.
    #[default]
    None,
    /// Take no new work, and end what runs within the grace period.
    Graceful,
    /// End at once.
    Immediate,
}

/// How the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Connections that were cut off with work in them.
    pub aborted: usize,
    /// Whether it was told to end at once.
    pub immediate: bool,
}

/// Resolves once the server is told at least this.
pub(super) async fn requested(
    shutdown: &mut watch::Receiver<ShutdownSignal>,
    at_least: ShutdownSignal,
) {
    if shutdown
        .wait_for(|requested| *requested >= at_least)
        .await
        .is_err()
    {
        // Nobody is left who could say it.
        std::future::pending::<()>().await;
    }
}

/// Turns SIGTERM and SIGINT into a [`ShutdownSignal`]: the first one gently, the second one at
/// once.
pub(crate) fn shutdown_signals() -> Result<watch::Receiver<ShutdownSignal>, StartError> {
    let listen = |kind| {
        signal(kind).map_err(|error| StartError::new(format!("cannot listen to signals: {error}")))
    };
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let (shutdown, receiver) = watch::channel(ShutdownSignal::None);
    tokio::spawn(async move {
        for next in [ShutdownSignal::Graceful, ShutdownSignal::Immediate] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            shutdown.send_replace(next);
        }
        // The channel stays open: closed, it would read as "go on for ever".
        shutdown.closed().await;
    });
    Ok(receiver)
}
