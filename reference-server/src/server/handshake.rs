//! The TLS handshake, which precedes HTTP.

use axum::Router;
use tokio::{net::TcpStream, sync::watch, time};
use tokio_rustls::TlsAcceptor;

use super::{
    ShutdownSignal,
    connection::{self, ConnectionLimits, Peer},
    pressure::Pressure,
    shutdown::requested,
};
use crate::tls::client_certificate;

/// Completes the handshake within the timeout for request heads, then serves the connection.
pub(super) async fn serve(
    tls: TlsAcceptor,
    stream: TcpStream,
    peer: Peer,
    router: Router,
    limits: ConnectionLimits,
    pressure: Pressure,
    mut shutdown: watch::Receiver<ShutdownSignal>,
) {
    let timeout = limits.header_timeout(&pressure, rand::random());
    let stream = tokio::select! {
        handshake = time::timeout(timeout, tls.accept(stream)) => match handshake {
            Ok(Ok(stream)) => stream,
            // The client disconnected, violated the protocol or does not speak TLS.
            Ok(Err(error)) => {
                tracing::debug!(%error, "TLS handshake failed");
                return;
            }
            Err(_) => {
                tracing::debug!("TLS handshake timed out");
                return;
            }
        },
        // No request is in flight yet.
        () = requested(&mut shutdown, ShutdownSignal::Graceful) => return,
    };
    let certificate = client_certificate(stream.get_ref().1);
    let peer = Peer {
        certificate,
        ..peer
    };
    connection::serve(stream, peer, router, limits, pressure, shutdown).await;
}
