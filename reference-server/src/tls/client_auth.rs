//! Verifies the certificates of clients.

use std::sync::Arc;

use rustls::{
    RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateRevocationListDer, pem::PemObject},
    server::{VerifierBuilderError, WebPkiClientVerifier, danger::ClientCertVerifier},
};

use super::identity::{read, read_certificates};
use crate::{ClientAuth, StartError, TlsConfig};

const SETTING: &str = "server.tls.client_ca_file";
const CRL_SETTING: &str = "server.tls.client_crl_file";

/// The verifier for the configured authorities and lists of revoked certificates.
///
/// With lists, each certificate of the chain below the authority needs one that is current: an
/// attacker who withholds the newer list must not be able to use a revoked certificate.
///
/// # Errors
/// Returns an error if the authorities are invalid.
pub(super) fn verifier(
    files: &TlsConfig,
    lists: Vec<CertificateRevocationListDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, StartError> {
    let path = match (&files.client_ca_file, files.client_auth) {
        (Some(path), _) => path,
        (None, None) => return Ok(WebPkiClientVerifier::no_client_auth()),
        // Never a server that verifies no client although it is configured to.
        (None, Some(_)) => {
            let text = "server.tls.client_auth: set server.tls.client_ca_file to the authorities \
                        of clients";
            return Err(StartError::new(text));
        }
    };
    let mut roots = RootCertStore::empty();
    for authority in read_certificates(SETTING, path)? {
        roots.add(authority).map_err(|error| {
            let path = path.display();
            StartError::new(format!(
                "{SETTING}: a certificate in {path} is not that of an authority: {error}"
            ))
        })?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(provider));
    let builder = match files.client_auth.unwrap_or_default() {
        ClientAuth::Required => builder,
        ClientAuth::Optional => builder.allow_unauthenticated(),
    };
    builder
        .with_crls(lists)
        .enforce_revocation_expiration()
        .build()
        .map_err(|error| match error {
            VerifierBuilderError::InvalidCrl(_) => StartError::context(CRL_SETTING, &error),
            _ => StartError::context(SETTING, &error),
        })
}

/// Reads the lists of revoked certificates, of which a file has at least one.
///
/// # Errors
/// Returns an error if the file has no list, or a malformed one, or if there are no authorities.
pub(super) fn read_crls(
    files: &TlsConfig,
) -> Result<Vec<CertificateRevocationListDer<'static>>, StartError> {
    let Some(path) = &files.client_crl_file else {
        return Ok(Vec::new());
    };
    if files.client_ca_file.is_none() {
        return Err(StartError::new(format!(
            "{CRL_SETTING}: set {SETTING} to the authorities of clients"
        )));
    }
    let text = read(CRL_SETTING, path)?;
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&text).collect();
    match lists {
        Ok(lists) if !lists.is_empty() => Ok(lists),
        _ => Err(StartError::new(format!(
            "{CRL_SETTING}: {} has no list, or an incomplete one: use PEM, as `openssl crl` writes",
            path.display()
        ))),
    }
}
