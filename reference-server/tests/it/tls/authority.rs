//! A test certificate authority, which signs the server's certificate.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType,
};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A certificate authority with a directory for the server's certificate and key.
pub(super) struct Authority {
    folder: TempDir,
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Creates an authority and signs a first certificate.
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "authority of the tests");
        let certificate = params.self_signed(&key).unwrap();
        let authority = Self {
            folder: tempfile::tempdir().unwrap(),
            certificate,
            issuer: Issuer::new(params, key),
        };
        fs::write(authority.roots(), authority.certificate.pem()).unwrap();
        authority.renew();
        authority
    }

    /// Replaces the server's certificate and key with new ones.
    pub(super) fn renew(&self) -> CertificateDer<'static> {
        self.sign(CertificateParams::new(["127.0.0.1".to_owned()]).unwrap())
    }

    /// The same with a certificate of 90 days that ends at this time.
    pub(super) fn renew_until(&self, end: SystemTime) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.not_before = (end - Duration::from_secs(90 * 24 * 60 * 60)).into();
        params.not_after = end.into();
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.certificate_file(), certificate.pem()).unwrap();
        fs::write(self.key_file(), key.serialize_pem()).unwrap();
        self.set_key_file_mode(0o600);
        certificate.der().clone()
    }

    /// Sets the mode of the key file.
    pub(super) fn set_key_file_mode(&self, mode: u32) {
        fs::set_permissions(self.key_file(), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(super) fn certificate_file(&self) -> PathBuf {
        self.folder.path().join("server.pem")
    }

    pub(super) fn key_file(&self) -> PathBuf {
        self.folder.path().join("server.key")
    }

    /// The file with the trusted root certificates.
    pub(super) fn roots(&self) -> PathBuf {
        self.folder.path().join("roots.pem")
    }

    /// The `[server.tls]` section with these files.
    pub(super) fn lines(&self) -> String {
        let quoted = |file: PathBuf| toml::Value::from(file.to_str().unwrap());
        format!(
            "[server.tls]\ncertificate_file = {}\nkey_file = {}\n",
            quoted(self.certificate_file()),
            quoted(self.key_file())
        )
    }

    /// The file of the authorities of clients.
    pub(super) fn client_roots(&self) -> PathBuf {
        self.folder.path().join("clients.pem")
    }

    /// A new client certificate with its key.
    pub(super) fn client_identity(&self) -> reqwest::Identity {
        self.client_identity_with(vec![SanType::DnsName("client.example".try_into().unwrap())])
    }

    /// The same with these names.
    pub(super) fn client_identity_with(&self, names: Vec<SanType>) -> reqwest::Identity {
        let (certificate, key) = self.client_certificate(names);
        let pem = certificate.pem() + &key.serialize_pem();
        reqwest::Identity::from_pem(pem.as_bytes()).unwrap()
    }

    fn client_certificate(&self, names: Vec<SanType>) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate, key)
    }

    /// A client that trusts only this authority.
    pub(super) fn client(&self) -> reqwest::ClientBuilder {
        let root = reqwest::Certificate::from_der(self.certificate.der()).unwrap();
        let client = reqwest::Client::builder().no_proxy();
        client.tls_certs_only([root])
    }

    /// A TLS configuration that trusts only this authority, with session resumption.
    pub(super) fn connections(&self) -> Arc<ClientConfig> {
        let config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.root_store())
            .with_no_client_auth();
        Arc::new(config)
    }

    /// The same with this version, and with a new client certificate that has these names.
    pub(super) fn connections_with(
        &self,
        version: &'static SupportedProtocolVersion,
        names: Vec<SanType>,
    ) -> Arc<ClientConfig> {
        let (certificate, key) = self.client_certificate(names);
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(self.root_store())
            .with_client_auth_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Arc::new(config)
    }

    fn root_store(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        roots
    }
}

/// Connects and completes the handshake.
pub(super) async fn connect(
    config: &Arc<ClientConfig>,
    address: SocketAddr,
) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    let connector = TlsConnector::from(Arc::clone(config));
    connector
        .connect(address.ip().into(), stream)
        .await
        .unwrap()
}

/// The certificate that the server has presented.
pub(super) fn peer_certificate(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    chain[0].clone().into_owned()
}

/// Overwrites a file with invalid content.
pub(super) fn corrupt(file: &Path) {
    fs::write(file, "invalid").unwrap();
}
