//! Graceful shutdown.

use std::{io, time::Duration};

use stockade::Fence;
use tokio::{sync::watch, task, time};

/// The time that responses have to complete during shutdown.
const GRACE: Duration = Duration::from_secs(30);

/// The time that the last audit records have to be written.
const FLUSH: Duration = Duration::from_secs(5);

/// The shutdown signal.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

/// Listens for Ctrl-C, and on Unix for SIGTERM.
pub(crate) fn stop() -> io::Result<Stop> {
    let signal = signal()?;
    let (sender, stop) = watch::channel(false);
    tokio::spawn(async move {
        signal.await;
        sender.send_replace(true);
    });
    Ok(Stop(stop))
}

#[cfg(unix)]
fn signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(windows)]
fn signal() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
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
