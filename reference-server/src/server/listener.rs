//! Takes connections until the server ends.

use std::{io, time::Duration};

use axum::Router;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinSet,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

use super::{
    ShutdownReport, ShutdownSignal,
    connection::{self, ConnectionLimits},
    handshake,
    shutdown::requested,
};
use crate::tls::SharedTls;

/// How long to wait where the system has no more descriptors or memory to give.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// How long answers that are cut off may take to tell their clients so.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves until it is told to stop, then lets what runs end within the grace period. What
/// runs after that is cut off.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<SharedTls>,
    router: Router,
    limits: ConnectionLimits,
    abort: CancellationToken,
    mut shutdown: watch::Receiver<ShutdownSignal>,
) -> ShutdownReport {
    let mut connections = JoinSet::new();
    let open = metrics::gauge!("stockade_connections");
    loop {
        open.set(count(connections.len()));
        let free = connections.len() < limits.max_connections;
        tokio::select! {
            biased;
            () = requested(&mut shutdown, ShutdownSignal::Graceful) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if free => match accepted {
                Ok((stream, peer)) => {
                    // Tokens are small, and each of them should leave at once.
                    if let Err(error) = stream.set_nodelay(true) {
                        // Its client has left already.
                        tracing::debug!(%error, "a connection ended before it was served");
                        continue;
                    }
                    let (router, shutdown) = (router.clone(), shutdown.clone());
                    match &tls {
                        Some(tls) => connections.spawn(handshake::serve(
                            tls.acceptor(),
                            stream,
                            peer,
                            router,
                            limits,
                            shutdown,
                        )),
                        None => connections
                            .spawn(connection::serve(stream, peer, router, limits, shutdown)),
                    };
                }
                Err(error) if is_connection_error(&error) => {
                    tracing::debug!(%error, "a connection ended before it was accepted");
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections; trying again");
                    time::sleep(ACCEPT_BACKOFF).await;
                }
            },
        }
    }
    // Closes the port: who comes now is refused by the system and can go elsewhere.
    drop(listener);
    drain(connections, limits.shutdown_grace, &abort, shutdown).await
}

async fn drain(
    mut connections: JoinSet<()>,
    grace: Duration,
    abort: &CancellationToken,
    mut shutdown: watch::Receiver<ShutdownSignal>,
) -> ShutdownReport {
    tracing::info!(
        connections = connections.len(),
        "stopping: no new work is taken"
    );
    let deadline = Instant::now() + grace;
    let mut immediate = false;
    while !connections.is_empty() {
        tokio::select! {
            biased;
            () = requested(&mut shutdown, ShutdownSignal::Immediate) => {
                immediate = true;
                break;
            }
            () = time::sleep_until(deadline) => break,
            _ = connections.join_next() => {}
        }
    }
    let aborted = connections.len();
    abort.cancel();
    let all_closed = async { while connections.join_next().await.is_some() {} };
    if time::timeout(ABORT_TIMEOUT, all_closed).await.is_err() {
        connections.shutdown().await;
    }
    tracing::info!(cut = aborted, "stopped");
    ShutdownReport { aborted, immediate }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
fn count(connections: usize) -> f64 {
    connections as f64
}

fn is_connection_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
