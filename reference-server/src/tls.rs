//! TLS with a certificate that can be replaced while the server runs, and the trust of clients in it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

mod client_auth;
mod identity;
mod trust;
mod watched;

pub(crate) use identity::Identity;
pub(crate) use trust::trust_roots;
pub(crate) use watched::WatchedTls;

/// The TLS configuration of new handshakes, shared by all clones.
#[derive(Clone)]
pub(crate) struct SharedTls(Arc<ArcSwap<ServerConfig>>);

impl SharedTls {
    pub(crate) fn new(Identity(config): Identity) -> Self {
        Self(Arc::new(ArcSwap::new(config)))
    }

    /// Uses this certificate from the next handshake on. Sessions of the old certificate are not
    /// resumed, because its key may have leaked.
    pub(crate) fn set(&self, Identity(config): Identity) {
        self.0.store(config);
    }

    /// The acceptor for the next handshake.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.0.load_full().into()
    }
}
