//! A listener of its own for `/metrics`, for a collector on this machine: without keys, and without
//! limits that an outage of the shared store would turn into refusals.

use std::{net::SocketAddr, num::NonZeroUsize};

use axum::Router;
use stockade_core::guard::Guard as _;
use tokio::net::TcpListener;

use super::{
    connection::ConnectionLimits, listener::Listener, no_threads, pressure::Pressure,
    workers::Workers,
};
use crate::{StartError, fence::HostGuard, systemd::Sockets};

/// The maximum number of concurrent connections; further ones wait.
const MAX_CONNECTIONS: usize = 16;
/// The names under which this machine reaches itself. Others are those of a web page whose domain
/// was pointed at this machine (DNS rebinding).
const LOCAL_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Open connections of this listener.
pub(super) const CONNECTIONS: &str = "stockade_metrics_connections";

/// A listener that is bound to its address.
pub(super) struct MetricsListener {
    listener: TcpListener,
    hosts: HostGuard,
    workers: Workers,
}

impl MetricsListener {
    /// Listens on the address.
    ///
    /// # Errors
    /// Returns an error if that fails.
    pub(super) async fn bind(
        address: SocketAddr,
        sockets: &mut Sockets,
    ) -> Result<Self, StartError> {
        let (listener, address) = sockets.bind(address, "metrics.listen").await?;
        let hosts = match address.ip().is_loopback() {
            true => {
                let names = LOCAL_HOSTS.map(str::to_owned).into_iter();
                names.chain([address.to_string()]).collect()
            }
            // Its names are not known here.
            false => Vec::new(),
        };
        tracing::info!(%address, "serving /metrics without keys");
        Ok(Self {
            listener,
            hosts: HostGuard::new(&hosts)?,
            // A thread of its own, so that requests of the API do not delay a scrape.
            workers: Workers::with_threads(NonZeroUsize::MIN).map_err(no_threads)?,
        })
    }

    /// The listener that serves this router, as plain HTTP.
    pub(super) fn listener(self, router: Router, limits: ConnectionLimits) -> Listener {
        Listener {
            listener: self.listener,
            tls: None,
            router: router.layer(self.hosts.into_layer()),
            limits: ConnectionLimits {
                max_connections: MAX_CONNECTIONS,
                ..limits
            },
            workers: self.workers,
            addresses: None,
            pressure: Pressure::default(),
            open: metrics::gauge!(CONNECTIONS),
        }
    }
}
