//! Accepts connections until the server shuts down.

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

/// The pause after a failed `accept`, such as when descriptors or memory are exhausted.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// How long aborted requests may take to send their final error.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves until a shutdown is requested, then lets the requests in flight complete within the
/// grace period, and aborts the rest.
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
                    // Streamed tokens are small and must be sent immediately.
                    if let Err(error) = stream.set_nodelay(true) {
                        // The client has already disconnected.
                        tracing::debug!(%error, "connection ended before it was served");
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
                    tracing::debug!(%error, "connection ended before it was accepted");
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections; retrying");
                    time::sleep(ACCEPT_BACKOFF).await;
                }
            },
        }
    }
    // Closes the port: the system refuses new connections, so clients can retry elsewhere.
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
        "stopping: no new requests are accepted"
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
