//! TLS, with a certificate that can be changed while the server runs.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

mod identity;
mod watched;

pub(crate) use identity::Identity;
pub(crate) use watched::WatchedTls;

/// What shakes hands with clients, the same for all that hold a clone of it.
#[derive(Clone)]
pub(crate) struct SharedTls(Arc<ArcSwap<ServerConfig>>);

impl SharedTls {
    pub(crate) fn new(Identity(config): Identity) -> Self {
        Self(Arc::new(ArcSwap::new(config)))
    }

    /// Shows this certificate from the next handshake on. Sessions of the old one are not
    /// resumed: after a key has leaked, nothing of it may go on.
    pub(crate) fn set(&self, Identity(config): Identity) {
        self.0.store(config);
    }

    /// For the next handshake.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.0.load_full().into()
    }
}
