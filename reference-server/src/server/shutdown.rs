//! Shutdown requests and their outcome.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::StartError;

/// A request to shut the server down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShutdownSignal {
    /// No shutdown is requested.
    #[default]
    None,
    /// Accept no new requests, and let those in flight complete within the grace period.
    Graceful,
    /// Abort the requests in flight.
    Immediate,
}

/// The outcome of a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownReport {
    /// The number of connections that were aborted.
    pub aborted: usize,
    /// Whether an immediate shutdown was requested.
    pub immediate: bool,
}

/// Resolves when at least this shutdown is requested.
pub(crate) async fn requested(
    shutdown: &mut watch::Receiver<ShutdownSignal>,
    at_least: ShutdownSignal,
) {
    if shutdown
        .wait_for(|requested| *requested >= at_least)
        .await
        .is_err()
    {
        // The sender is gone, so no request can arrive.
        std::future::pending::<()>().await;
    }
}

/// Converts SIGTERM and SIGINT into shutdown requests: the first signal requests a graceful
/// shutdown, the second one an immediate shutdown.
pub(crate) fn shutdown_signals() -> Result<watch::Receiver<ShutdownSignal>, StartError> {
    let listen = |kind| {
        signal(kind).map_err(|error| StartError::new(format!("cannot listen for signals: {error}")))
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
        // Keeps the sender alive: receivers treat a closed channel as no request.
        shutdown.closed().await;
    });
    Ok(receiver)
}
