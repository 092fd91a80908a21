//! Which certificates a client of this process accepts.

use std::{fs, io, path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

use super::identity::read_certificates;
use crate::StartError;

/// Trusts Mozilla's roots, which are compiled in.
pub(crate) fn trust_public_roots() -> ClientConfig {
    trust(public_roots())
}

/// Trusts Mozilla's roots and those of a PEM file.
///
/// # Errors
/// Returns an error if the file cannot be read or has no certificate.
pub(crate) fn trust_roots(file: Option<&Path>) -> io::Result<ClientConfig> {
    let mut roots = public_roots();
    if let Some(file) = file {
        add_roots(&mut roots, &fs::read(file)?)?;
    }
    Ok(trust(roots))
}

fn public_roots() -> RootCertStore {
    RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned())
}

/// Adds the certificates of a PEM file.
fn add_roots(roots: &mut RootCertStore, pem: &[u8]) -> io::Result<()> {
    let mut found = false;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(io::Error::other)?;
        roots.add(certificate).map_err(io::Error::other)?;
        found = true;
    }
    match found {
        true => Ok(()),
        false => Err(io::Error::other("the file contains no certificate")),
    }
}

fn trust(roots: RootCertStore) -> ClientConfig {
    // Explicit, because another crate of the process may have installed another provider.
    ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Trusts the first certificate of a file and no other one, under any name: a client on the same
/// machine connects to an address, and the certificate has the name for other clients.
///
/// # Errors
/// Returns an error if the file has no certificates.
pub(crate) fn trust_certificate(path: &Path) -> Result<ClientConfig, StartError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let pinned = PinnedCertificate {
        certificate: read_certificates("server.tls.certificate_file", path)?.swap_remove(0),
        provider: Arc::clone(&provider),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned))
        .with_no_client_auth();
    Ok(config)
}

/// Accepts one certificate from a server that has its private key.
#[derive(Debug)]
struct PinnedCertificate {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedCertificate {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match *certificate == self.certificate {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
