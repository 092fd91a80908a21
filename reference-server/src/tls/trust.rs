//! Which certificates a client of this process accepts.

use std::{fs, io, path::Path};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};

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
