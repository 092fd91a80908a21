//! The TLS handshake, which comes before HTTP.

use std::net::SocketAddr;

use axum::Router;
use tokio::{net::TcpStream, sync::watch, time};
use tokio_rustls::TlsAcceptor;

use super::{
    ShutdownSignal,
    connection::{self, ConnectionLimits},
    shutdown::requested,
};

/// Shakes hands, within the time that a client has for the head of a request, and serves the
/// connection.
pub(super) async fn serve(
    tls: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: ConnectionLimits,
    mut shutdown: watch::Receiver<ShutdownSignal>,
) {
    let stream = tokio::select! {
        shaken = time::timeout(limits.header_timeout, tls.accept(stream)) => match shaken {
            Ok(Ok(stream)) => stream,
            // Clients that leave, or break the protocol, or do not speak this one.
            Ok(Err(error)) => {
                tracing::debug!(%error, "handshake failed");
                return;
            }
            Err(_) => {
                tracing::debug!("handshake took too long");
                return;
            }
        },
        // There is no work in it yet.
        () = requested(&mut shutdown, ShutdownSignal::Graceful) => return,
    };
    connection::serve(stream, peer, router, limits, shutdown).await;
}
