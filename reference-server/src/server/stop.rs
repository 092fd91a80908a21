//! When and how the server ends.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::StartError;

/// What the server is told about its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Go on.
    #[default]
    No,
    /// Take no new work, and end what runs within the grace period.
    Gently,
    /// End at once.
    Now,
}

/// How the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Connections that were cut off with work in them.
    pub cut: usize,
    /// Whether it was told to end at once.
    pub at_once: bool,
}

/// Resolves once the server is told at least this.
pub(super) async fn told(stop: &mut watch::Receiver<Stop>, least: Stop) {
    if stop.wait_for(|told| *told >= least).await.is_err() {
        // Nobody is left who could say it.
        std::future::pending::<()>().await;
    }
}

/// Turns SIGTERM and SIGINT into [`Stop`]: the first one gently, the second one at once.
pub(crate) fn on_signals() -> Result<watch::Receiver<Stop>, StartError> {
    let listen = |kind| {
        signal(kind).map_err(|error| StartError::new(format!("cannot listen to signals: {error}")))
    };
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let (stop, receiver) = watch::channel(Stop::No);
    tokio::spawn(async move {
        for next in [Stop::Gently, Stop::Now] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            stop.send_replace(next);
        }
        // The channel stays open: closed, it would read as "go on for ever".
        stop.closed().await;
    });
    Ok(receiver)
}
