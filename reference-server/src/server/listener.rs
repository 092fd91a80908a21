//! Accepts connections until the server shuts down.

use std::{io, net::SocketAddr, time::Duration};

use axum::Router;
use metrics::Gauge;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

use super::{
    ShutdownReport, ShutdownSignal,
    addresses::Addresses,
    connection::{self, ConnectionLimits, Peer},
    handshake,
    pressure::Pressure,
    shutdown::requested,
    socket,
    workers::Workers,
};
use crate::tls::SharedTls;

/// The pause after a failed `accept`, such as when descriptors or memory are exhausted.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// How long aborted requests may take to send their final error.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// A listener, and what serves its connections.
pub(super) struct Listener {
    pub(super) listener: TcpListener,
    pub(super) tls: Option<SharedTls>,
    pub(super) router: Router,
    pub(super) limits: ConnectionLimits,
    pub(super) workers: Workers,
    /// Bounds the connections of each address; `None` for no bound.
    pub(super) addresses: Option<Addresses>,
    pub(super) pressure: Pressure,
    /// The number of open connections.
    pub(super) open: Gauge,
}

impl Listener {
    /// Serves until a shutdown is requested, then lets the requests in flight complete within the
    /// grace period, and aborts the rest.
    pub(super) async fn serve(
        self,
        abort: CancellationToken,
        mut shutdown: watch::Receiver<ShutdownSignal>,
    ) -> ShutdownReport {
        let mut connections = JoinSet::new();
        loop {
            self.open.set(count(connections.len()));
            self.pressure
                .update(connections.len(), self.limits.max_connections);
            let free = connections.len() < self.limits.max_connections;
            tokio::select! {
                biased;
                () = requested(&mut shutdown, ShutdownSignal::Graceful) => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept(), if free => match accepted {
                    Ok((stream, peer)) => {
                        if let Err(error) = self.start(&mut connections, stream, peer, &shutdown) {
                            // The client has already disconnected.
                            tracing::debug!(%error, "connection ended before it was served");
                        }
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
        drop(self.listener);
        drain(connections, self.limits.shutdown_grace, &abort, shutdown).await
    }

    fn start(
        &self,
        connections: &mut JoinSet<()>,
        stream: TcpStream,
        peer: SocketAddr,
        shutdown: &watch::Receiver<ShutdownSignal>,
    ) -> io::Result<()> {
        let guard = self
            .addresses
            .as_ref()
            .map(|addresses| addresses.admit(peer));
        if let Some(None) = guard {
            return Ok(());
        }
        socket::prepare(&stream)?;
        let (router, limits, shutdown) = (self.router.clone(), self.limits, shutdown.clone());
        let (peer, pressure) = (Peer::from(peer), self.pressure.clone());
        match &self.tls {
            Some(tls) => {
                let tls = tls.acceptor();
                let serve = move |stream| async move {
                    let _guard = guard;
                    handshake::serve(tls, stream, peer, router, limits, pressure, shutdown).await;
                };
                self.workers.spawn(connections, stream, serve)
            }
            None => {
                let serve = move |stream| async move {
                    let _guard = guard;
                    connection::serve(stream, peer, router, limits, pressure, shutdown).await;
                };
                self.workers.spawn(connections, stream, serve)
            }
        }
    }
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
