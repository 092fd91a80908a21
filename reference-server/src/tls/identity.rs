//! Loads a certificate and its private key.

use std::{fs, path::Path, sync::Arc};

use rustls::{
    Error, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use stockade_server_config::Validity;
use zeroize::Zeroizing;

use super::{
    client_auth,
    staple::{Stapled, read_staple},
};
use crate::{StartError, TlsConfig};

/// A certificate chain, its private key and the authorities of clients, ready for handshakes.
pub(crate) struct Identity {
    pub(super) config: Arc<ServerConfig>,
    /// Of the server's own certificate.
    pub(super) validity: Option<Validity>,
    /// Of the stapled OCSP response.
    pub(super) ocsp: Option<Validity>,
    /// Of the list of revoked client certificates that expires first.
    pub(super) client_crl: Option<Validity>,
}

impl Identity {
    /// Reads the files. Errors never quote their content, which may be the private key, such as
    /// when the files are swapped.
    ///
    /// # Errors
    /// Returns an error if one of the files is invalid or they do not belong together.
    pub(crate) fn read(files: &TlsConfig) -> Result<Self, StartError> {
        let chain = read_certificates("server.tls.certificate_file", &files.certificate_file)?;
        let own = chain.first();
        let validity = own.and_then(|own| Validity::of_der(own));
        let key = read_key(&files.key_file)?;
        let staple = match (&files.ocsp_file, own) {
            (Some(path), Some(own)) => read_staple(path, own)?,
            _ => None,
        };
        let ocsp = staple.as_ref().map(|staple| staple.validity);
        let (certificate_file, key_file) =
            (files.certificate_file.display(), files.key_file.display());
        // Explicit, because another crate of the process may have installed another provider.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let lists = client_auth::read_crls(files)?;
        let validities = lists.iter().filter_map(|list| Validity::of_crl(list));
        let client_crl = validities.min_by_key(Validity::not_after);
        let clients = client_auth::verifier(files, lists, &provider)?;
        let certificate =
            CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
                Error::InconsistentKeys(_) => StartError::new(format!(
                    "server.tls: the key in {key_file} does not belong to the first certificate \
                     in {certificate_file}: configure a matching pair, with the server's own \
                     certificate before its issuers"
                )),
                Error::InvalidCertificate(_) => StartError::new(format!(
                    "server.tls.certificate_file: the first certificate in {certificate_file} is \
                     malformed: have it reissued"
                )),
                _ => StartError::new(format!(
                    "server.tls.key_file: the key in {key_file} has an unsupported type: use an \
                     RSA, ECDSA or Ed25519 key"
                )),
            })?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| StartError::context("server.tls", &error))?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::new(Stapled::new(certificate, staple)));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Early data can be replayed (RFC 8446, 8), and each replayed chat costs money.
        config.max_early_data_size = 0;
        Ok(Self {
            config: Arc::new(config),
            validity,
            ocsp,
            client_crl,
        })
    }
}

/// Reads the certificates of a PEM file, of which there is at least one.
pub(super) fn read_certificates(
    setting: &str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, StartError> {
    let name = path.display();
    // The file may also hold the key.
    let text = Zeroizing::new(read(setting, path)?);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(StartError::new(format!(
            "{setting}: {name} has no certificates, or some are incomplete: use PEM with the \
             server's own certificate first"
        ))),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, StartError> {
    let setting = "server.tls.key_file";
    let name = path.display();
    let text = Zeroizing::new(read(setting, path)?);
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        let is_encrypted = text.windows(9).any(|word| word == b"ENCRYPTED");
        StartError::new(match is_encrypted {
            true => format!(
                "{setting}: the key in {name} is encrypted, which is not supported: decrypt it with \
                 `openssl pkey`, and restrict its permissions with `chmod 600`"
            ),
            false => format!(
                "{setting}: {name} has no private key: use PEM (PKCS#8, PKCS#1 or SEC1)"
            ),
        })
    })?;
    warn_if_world_accessible(path);
    Ok(key)
}

/// Warns if the key is world-accessible. Group access is allowed, since keys are often shared
/// with a group.
fn warn_if_world_accessible(path: &Path) {
    use std::os::unix::fs::PermissionsExt;

    let open = |metadata: fs::Metadata| metadata.permissions().mode() & 0o006 != 0;
    if fs::metadata(path).is_ok_and(open) {
        let path = path.display();
        tracing::warn!(
            "every user of the machine can read or change the certificate's key: restrict its \
             permissions with `chmod 600 {path}`"
        );
    }
}

pub(super) fn read(setting: &str, path: &Path) -> Result<Vec<u8>, StartError> {
    fs::read(path).map_err(|error| {
        let name = path.display();
        StartError::new(format!(
            "{setting}: cannot read {name}: {error}; use a file that the server's user can read"
        ))
    })
}

#[cfg(test)]
mod tests;
