//! A certificate and its key, from their files.

use std::{fs, path::Path, sync::Arc};

use rustls::{
    Error, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};
use zeroize::Zeroizing;

use crate::{StartError, TlsConfig};

/// A certificate with the key that belongs to it, ready to be shown.
pub(crate) struct Identity(pub(super) Arc<ServerConfig>);

impl Identity {
    /// Reads both files. Their errors never hold a piece of them: where the two were
    /// swapped, or a key lost its line breaks, that piece would be the key.
    ///
    /// # Errors
    /// When one of them is not what it should be, or they do not belong together.
    pub(crate) fn read(files: &TlsConfig) -> Result<Self, StartError> {
        let chain = read_chain(&files.certificate_file)?;
        let key = read_key(&files.key_file)?;
        let (certificate_file, key_file) =
            (files.certificate_file.display(), files.key_file.display());
        // Named, for some other crate of the process may have chosen another one.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| StartError::context("server.tls", &error))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                Error::InconsistentKeys(_) => StartError::new(format!(
                    "server.tls: the key in {key_file} does not belong to the first certificate \
                     in {certificate_file}: name a pair, and put the server's own certificate \
                     before those that it is signed by"
                )),
                Error::InvalidCertificate(_) => StartError::new(format!(
                    "server.tls.certificate_file: the first certificate in {certificate_file} is \
                     broken: have it issued again"
                )),
                _ => StartError::new(format!(
                    "server.tls.key_file: the key in {key_file} is of no kind that is known \
                     here: take one for RSA, ECDSA or Ed25519"
                )),
            })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // What is sent before the handshake has ended can be sent again by whoever saw it
        // (RFC 8446, 8), and a chat costs money each time.
        config.max_early_data_size = 0;
        Ok(Self(Arc::new(config)))
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, StartError> {
    let setting = "server.tls.certificate_file";
    let name = path.display();
    // The key may be in the same file.
    let text = Zeroizing::new(read(setting, path)?);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(StartError::new(format!(
            "{setting}: {name} holds no certificates, or not all of them whole: it has to be \
             PEM, the server's own certificate first"
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
                "{setting}: the key in {name} is encrypted, and nobody is there to be asked for \
                 its passphrase: decrypt it with `openssl pkey`, and close it with `chmod 600`"
            ),
            false => format!(
                "{setting}: {name} holds no private key: it has to be PEM (PKCS#8, PKCS#1 or SEC1)"
            ),
        })
    })?;
    warn_if_world_accessible(path);
    Ok(key)
}

/// A group may read it: such keys are often shared by one.
fn warn_if_world_accessible(path: &Path) {
    use std::os::unix::fs::PermissionsExt;

    let open = |metadata: fs::Metadata| metadata.permissions().mode() & 0o006 != 0;
    if fs::metadata(path).is_ok_and(open) {
        let path = path.display();
        tracing::warn!(
            "every user of the machine can read or change the key of the certificate; close it \
             with `chmod 600 {path}`"
        );
    }
}

fn read(setting: &str, path: &Path) -> Result<Vec<u8>, StartError> {
    fs::read(path).map_err(|error| {
        let name = path.display();
        StartError::new(format!(
            "{setting}: cannot read {name}: {error}; name a file that this user may read"
        ))
    })
}

#[cfg(test)]
mod tests;
