//! Verifies the certificates of clients.

use std::sync::Arc;

use rustls::{
    RootCertStore,
    crypto::CryptoProvider,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use super::identity::read_certificates;
use crate::{ClientAuth, StartError, TlsConfig};

const SETTING: &str = "server.tls.client_ca_file";

/// The verifier for the configured authorities.
///
/// # Errors
/// Returns an error if the file has no valid authority.
pub(super) fn verifier(
    files: &TlsConfig,
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
        .build()
        .map_err(|error| StartError::context(SETTING, &error))
}
