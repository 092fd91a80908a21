//! TLS with a certificate that can be replaced while the server runs, and the trust of clients in it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use stockade_server_config::Validity;
use tokio_rustls::TlsAcceptor;

mod client_auth;
mod client_identity;
mod expiry;
mod identity;
mod staple;
mod trust;
mod watched;

pub(crate) use client_identity::client_certificate;
pub(crate) use expiry::{CLIENT_CRL_NEXT_UPDATE, NOT_AFTER, warn as warn_of_expiry};
pub(crate) use identity::Identity;
pub(crate) use trust::{trust_certificate, trust_public_roots, trust_roots};
pub(crate) use watched::WatchedTls;

/// The TLS configuration of new handshakes, shared by all clones.
#[derive(Clone)]
pub(crate) struct SharedTls(Arc<ArcSwap<Identity>>);

impl SharedTls {
    pub(crate) fn new(identity: Identity) -> Self {
        expiry::record(&identity);
        Self(Arc::new(ArcSwap::from_pointee(identity)))
    }

    /// Uses this certificate from the next handshake on. Older sessions are not resumed, because the
    /// key of the old certificate may have leaked, and those of clients may have been revoked.
    pub(crate) fn set(&self, identity: Identity) {
        expiry::record(&identity);
        self.0.store(Arc::new(identity));
    }

    /// The validity of the certificate.
    pub(crate) fn validity(&self) -> Option<Validity> {
        self.0.load().validity
    }

    /// The validity of the stapled OCSP response.
    fn ocsp(&self) -> Option<Validity> {
        self.0.load().ocsp
    }

    /// The validity of the list of revoked client certificates that expires first.
    fn client_crl(&self) -> Option<Validity> {
        self.0.load().client_crl
    }

    /// The acceptor for the next handshake.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.0.load().config).into()
    }
}
