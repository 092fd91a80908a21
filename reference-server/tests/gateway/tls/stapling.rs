//! `server.tls.ocsp_file`.

use std::{
    fs,
    process::Stdio,
    time::{Duration, SystemTime},
};

use rustls::pki_types::{CertificateDer, pem::PemObject};
use stockade::{Environment, Format};
use stockade_server::{Config, Server};
use stockade_server_config::{OcspResponse, ServerFile};
use stockade_testkit::poll::until_async;
use tokio::process::Command;

use super::Authority;
use crate::gateway::Gateway;

const FILES: [(&str, &str); 1] = [("ocsp_file", "ocsp.der")];

/// Writes a response for the server's certificate that is valid for a week.
async fn respond(authority: &Authority, is_revoked: bool) {
    let serial = Authority::SERVER;
    let entry = match is_revoked {
        true => format!("R\t350101000000Z\t250101000000Z\t{serial:02X}\tunknown\t/CN=a\n"),
        false => format!("V\t350101000000Z\t\t{serial:02X}\tunknown\t/CN=a\n"),
    };
    fs::write(authority.path("index.txt"), entry).unwrap();
    fs::write(
        authority.path("authority.key"),
        authority.issuer.key().serialize_pem(),
    )
    .unwrap();
    let mut openssl = Command::new("openssl");
    openssl
        .current_dir(authority.folder.path())
        .args(["ocsp", "-index", "index.txt", "-ndays", "7", "-noverify"])
        .args(["-CA", "authority.pem", "-issuer", "authority.pem"])
        .args(["-rsigner", "authority.pem", "-rkey", "authority.key"])
        .args(["-cert", "server.pem", "-respout", "new.der"]);
    let output = openssl.output().await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    fs::rename(authority.path("new.der"), authority.path("ocsp.der")).unwrap();
}

/// What a client that verifies the certificate receives.
async fn received(authority: &Authority, gateway: &Gateway) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-status", "-verify_return_error", "-connect"])
        .arg(gateway.address.to_string())
        .arg("-CAfile")
        .arg(authority.path("authority.pem"))
        .stdin(Stdio::null())
        .output();
    let output = output.await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

async fn wait_for(expected: &str, authority: &Authority, gateway: &Gateway) {
    until_async(expected, async || {
        received(authority, gateway).await.contains(expected)
    })
    .await;
}

const GOOD: &str = "Cert Status: good";
const NONE: &str = "OCSP response: no response sent";

#[tokio::test]
async fn staples_the_response_for_the_certificate() {
    let authority = Authority::new();
    respond(&authority, false).await;
    let gateway = authority.gateway(&FILES).await;
    wait_for(GOOD, &authority, &gateway).await;

    // An invalid file changes nothing.
    fs::write(authority.path("ocsp.der"), "invalid").unwrap();
    let client = authority.client(1).build().unwrap();
    until_async("the failure is reported", async || {
        let metrics = super::metrics(&client, &gateway).await;
        metrics.contains("stockade_source_failing{source=\"server.tls\"} 1\n")
    })
    .await;
    assert!(received(&authority, &gateway).await.contains(GOOD));

    // Clients would refuse a response for the old certificate.
    respond(&authority, false).await;
    authority.renew(Authority::SERVER + 1);
    wait_for(NONE, &authority, &gateway).await;
    authority.renew(Authority::SERVER);
    wait_for(GOOD, &authority, &gateway).await;
    respond(&authority, true).await;
    wait_for(NONE, &authority, &gateway).await;
}

#[tokio::test]
async fn a_response_is_for_one_certificate_and_ends() {
    let authority = Authority::new();
    respond(&authority, false).await;
    let der = fs::read(authority.path("ocsp.der")).unwrap();
    let response = OcspResponse::of_der(&der).unwrap();
    let of = |certificate: &str| {
        let pem = fs::read(authority.path(certificate)).unwrap();
        CertificateDer::from_pem_slice(&pem).unwrap()
    };
    let server = of("server.pem");
    let now = SystemTime::now();
    let week = Duration::from_secs(7 * 24 * 60 * 60 + 60);
    assert_eq!(response.flaw(&server, now), None);
    let expired = response.flaw(&server, now + week);
    assert_eq!(expired, Some("it has expired"));
    let other = response.flaw(&of("authority.pem"), now);
    assert_eq!(other, Some("it is for another certificate"));
    respond(&authority, true).await;
    let revoked = fs::read(authority.path("ocsp.der")).unwrap();
    let revoked = OcspResponse::of_der(&revoked).unwrap().flaw(&server, now);
    assert!(revoked.is_some_and(|flaw| flaw.contains("good")));

    for length in 0..der.len() {
        assert!(OcspResponse::of_der(&der[..length]).is_none(), "{length}");
    }
    // `unauthorized`, without a response.
    assert!(OcspResponse::of_der(b"\x30\x03\x0a\x01\x06").is_none());
}

#[tokio::test]
async fn a_file_without_a_response_is_an_error_at_the_start_and_in_check() {
    let authority = Authority::new();
    let text = "[auth]\nkeys_file = \"keys.yaml\"\n[server]\nlisten = \"127.0.0.1:0\"\n\
                [[models]]\nname = \"small\"\nupstream = [{ url = \"http://127.0.0.1:9/v1\" }]\n\
                [server.tls]\ncertificate_file = \"server.pem\"\nkey_file = \"server.key\"\n\
                ocsp_file = \"ocsp.der\"\n";
    let folder = authority.folder.path();
    let environment = Environment::default();
    fs::write(authority.path("keys.yaml"), "keys: []\n").unwrap();
    fs::write(authority.path("stockade.toml"), text).unwrap();
    let config = Config::read(&authority.path("stockade.toml"), &environment).unwrap();
    let file = ServerFile::parse_in(folder, text, Format::Toml, &environment).unwrap();
    let expected = "is not a successful OCSP response";
    for content in ["", "invalid"] {
        fs::write(authority.path("ocsp.der"), content).unwrap();
        let error = Server::bind(&config).await.err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
        let errors = file.validate();
        assert!(
            errors
                .iter()
                .any(|error| error.to_string().contains(expected))
        );
    }
    respond(&authority, true).await;
    Server::bind(&config).await.unwrap();
    assert!(file.validate().is_empty());
    let warnings = file.warnings();
    let found = warnings
        .iter()
        .find(|finding| finding.setting == "server.tls.ocsp_file");
    let reason = found.unwrap().reason.as_str();
    assert!(
        reason.starts_with("the response is not stapled"),
        "{reason}"
    );
}
