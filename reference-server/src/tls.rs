//! TLS, with a certificate that can be changed while the server runs.

use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;

mod identity;

pub(crate) use identity::Identity;

/// What shakes hands with clients, the same for all that hold a clone of it.
#[derive(Clone)]
pub(crate) struct Tls(Arc<RwLock<TlsAcceptor>>);

impl Tls {
    pub(crate) fn new(identity: Identity) -> Self {
        Self(Arc::new(RwLock::new(identity.into())))
    }

    /// Shows this certificate from the next handshake on. Sessions of the old one are not
    /// resumed: whoever changes a key that leaked wants nothing of it to go on.
    pub(crate) fn show(&self, identity: Identity) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = identity.into();
    }

    /// For the next handshake.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        // Nothing panics while the lock is held.
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
