//! Certificates that are replaced while the server runs.

use std::{fs, sync::Arc};

use rustls::{ClientConfig, HandshakeKind, pki_types::CertificateDer};
use stockade_testkit::poll::until_async;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::{
    authority::{Authority, connect, corrupt, peer_certificate},
    start,
};
use crate::server_process::ServerProcess;

const RELOADED: &str = "reloaded the configuration";
const REJECTED: &str = "was rejected";

/// The certificate that a new client sees.
async fn seen(authority: &Authority, server: &ServerProcess) -> CertificateDer<'static> {
    peer_certificate(&connect(&authority.connections(), server.address).await)
}

/// Checks that a request on an open connection gets a response.
async fn is_answered(stream: &mut TlsStream<TcpStream>) {
    let ask = b"HEAD /health HTTP/1.1\r\nhost: a\r\n\r\n";
    stream.write_all(ask).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
    }
    assert!(answer.starts_with(b"HTTP/1.1 "));
}

#[tokio::test]
async fn sighup_presents_the_new_certificate_to_new_clients() {
    let authority = Authority::new();
    let server = start(&authority, "");
    let mut open = connect(&authority.connections(), server.address).await;
    let first = peer_certificate(&open);
    let second = authority.renew();
    server.signal("HUP");
    server.wait_for_log(RELOADED);
    assert_eq!(seen(&authority, &server).await, second);
    assert_ne!(first, second);
    is_answered(&mut open).await;

    // Other files, with a world-readable key: accepted with a warning.
    let other = Authority::new();
    other.set_key_file_mode(0o644);
    server.configure(&other.lines());
    server.signal("HUP");
    let said = server.wait_for_log("every user of the machine");
    let path = other.key_file().display().to_string();
    assert!(said["message"].as_str().unwrap().contains(&path), "{said}");
    server.wait_for_log(RELOADED);
    let third = seen(&other, &server).await;
    assert!(third != first && third != second);
    is_answered(&mut open).await;
    assert_eq!(server.stop(), Some(0));
}

// FA04
#[tokio::test]
async fn presents_a_renewed_certificate_without_a_signal_and_reports_a_bad_one() {
    let authority = Authority::new();
    let server = start(&authority, "");
    let second = authority.renew();
    wait_until_presented(&authority, &server, &second).await;

    corrupt(&authority.certificate_file());
    let said = server.wait_for_log("reload failed");
    assert_eq!(said["source"], "server.tls");
    let failing = "stockade_source_failing{source=\"server.tls\"}";
    assert_eq!(server.metric(failing).await, Some(1.0));
    let age = "stockade_source_age_seconds{source=\"server.tls\"}";
    assert!(server.metric(age).await.is_some());
    assert_eq!(seen(&authority, &server).await, second);

    let third = authority.renew();
    wait_until_presented(&authority, &server, &third).await;
    until_async("the source recovers", async || {
        server.metric(failing).await == Some(0.0)
    })
    .await;
    let failures = "stockade_source_failures_total{source=\"server.tls\"}";
    assert!(server.metric(failures).await.unwrap() >= 1.0);
}

/// Waits until new clients see this certificate.
async fn wait_until_presented(
    authority: &Authority,
    server: &ServerProcess,
    expected: &CertificateDer<'static>,
) {
    let is_presented = async || seen(authority, server).await == *expected;
    until_async("the new certificate is presented", is_presented).await;
}

// A22
#[tokio::test]
async fn keeps_the_old_certificate_if_the_new_one_is_invalid() {
    let authority = Authority::new();
    let server = start(&authority, "");
    let first = seen(&authority, &server).await;
    let key = fs::read_to_string(authority.key_file()).unwrap();
    let with_the_old_key = || {
        authority.renew();
        fs::write(authority.key_file(), &key).unwrap();
    };
    for (prepare, why) in [
        (&with_the_old_key as &dyn Fn(), "does not belong to"),
        (
            &|| corrupt(&authority.certificate_file()),
            "no certificates",
        ),
        (&|| corrupt(&authority.key_file()), "no certificates"),
        (
            &|| fs::remove_file(authority.certificate_file()).unwrap(),
            "cannot read",
        ),
    ] {
        prepare();
        server.signal("HUP");
        let said = server.wait_for_log(REJECTED);
        assert_eq!(said["level"], "ERROR");
        let error = said["error"].as_str().unwrap();
        assert!(error.contains(why), "{error}");
        assert!(error.starts_with("server.tls"), "{error}");
        assert_eq!(seen(&authority, &server).await, first);
    }
    let rejected = server.metric("stockade_reloads_total{result=\"rejected\"}");
    assert!(rejected.await.unwrap() >= 4.0);

    let last = authority.renew();
    server.signal("HUP");
    server.wait_for_log(RELOADED);
    assert_eq!(seen(&authority, &server).await, last);
}

#[tokio::test]
async fn does_not_resume_a_session_of_the_old_certificate() {
    let authority = Authority::new();
    let server = start(&authority, "");
    let config = authority.connections();
    let kind = async |config: &Arc<ClientConfig>| {
        let mut stream = connect(config, server.address).await;
        // Session tickets arrive after the handshake.
        is_answered(&mut stream).await;
        stream.get_ref().1.handshake_kind().unwrap()
    };
    assert_eq!(kind(&config).await, HandshakeKind::Full);
    assert_eq!(kind(&config).await, HandshakeKind::Resumed);
    authority.renew();
    server.signal("HUP");
    server.wait_for_log(RELOADED);
    assert_eq!(kind(&config).await, HandshakeKind::Full);
}
