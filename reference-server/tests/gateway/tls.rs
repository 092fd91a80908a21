//! TLS: revoked certificates of clients, and OCSP responses.

use std::{fs, path::PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, date_time_ymd,
};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    gateway::{Gateway, KEY, METRICS_KEY},
    scripted_backend::ScriptedBackend,
};

mod revocation;
mod stapling;

/// An authority, the certificate that it has issued to a gateway, and a folder for its files.
struct Authority {
    folder: TempDir,
    root: reqwest::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The serial number of the gateway's first certificate.
    const SERVER: u64 = 100;

    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "authority of the tests");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap();
        let authority = Self {
            folder: tempfile::tempdir().unwrap(),
            root: reqwest::Certificate::from_der(certificate.der()).unwrap(),
            issuer: Issuer::new(params, key),
        };
        fs::write(authority.path("authority.pem"), certificate.pem()).unwrap();
        authority.renew(Self::SERVER);
        authority
    }

    /// Replaces the gateway's certificate by a new one with this serial number.
    fn renew(&self, serial: u64) {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.serial_number = Some(serial.into());
        let (certificate, key) = self.issue(params);
        fs::write(self.path("server.pem"), certificate).unwrap();
        fs::write(self.path("server.key"), key).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate and its key, in PEM.
    fn issue(&self, params: CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// A client with a new certificate of this serial number.
    fn client(&self, serial: u64) -> reqwest::ClientBuilder {
        let mut params = CertificateParams::default();
        params.serial_number = Some(serial.into());
        let (certificate, key) = self.issue(params);
        let identity = reqwest::Identity::from_pem((certificate + &key).as_bytes()).unwrap();
        let client = reqwest::Client::builder().no_proxy().identity(identity);
        client.tls_certs_only([self.root.clone()])
    }

    /// A list of revoked certificates that ends in this year, in PEM.
    fn list(&self, revoked: &[u64], end: i32) -> String {
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: (*serial).into(),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(end, 1, 1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    /// A gateway with the certificate of this authority, and with these settings of `[server.tls]`,
    /// which are files.
    async fn gateway(&self, settings: &[(&str, &str)]) -> Gateway {
        let own = [
            ("certificate_file", "server.pem"),
            ("key_file", "server.key"),
        ];
        let lines = own
            .iter()
            .chain(settings)
            .map(|(setting, file)| format!("{setting} = {}\n", json!(self.path(file))));
        let lines = format!("[server.tls]\n{}", lines.collect::<String>());
        Gateway::over(&ScriptedBackend::default(), &lines).await
    }
}

/// Requests the models; `None` if the connection fails.
async fn status(client: &reqwest::Client, gateway: &Gateway) -> Option<u16> {
    let url = format!("https://{}/v1/models", gateway.address);
    let response = client.get(url).bearer_auth(KEY).send().await.ok()?;
    Some(response.status().as_u16())
}

async fn metrics(client: &reqwest::Client, gateway: &Gateway) -> String {
    let url = format!("https://{}/metrics", gateway.address);
    let request = client.get(url).bearer_auth(METRICS_KEY);
    request.send().await.unwrap().text().await.unwrap()
}
