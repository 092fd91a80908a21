//! `stockade-server health`, which asks a running server.

use std::{fs, time::Duration};

use rcgen::{CertificateParams, KeyPair};
use serde_json::json;
use stockade_testkit::{poll::until_async, scripted_upstream::ScriptedUpstream};
use tokio::{process::Command, time};

use crate::{gateway::Gateway, scripted_backend::ScriptedBackend};

/// Runs the command; returns the exit code and the only line of output.
async fn health(args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stockade-server"));
    command.arg("health").args(args);
    let output = command.output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn exits_with_the_readiness_of_the_server() {
    let ready = Gateway::over(&ScriptedBackend::default(), "").await;
    let url = format!("http://{}", ready.address);
    assert_eq!(
        health(&["--url", &url]).await,
        (Some(0), "ready\n".to_owned())
    );

    let failed = Gateway::with(
        "[[models]]\nname = \"small\"\nupstream = [{ url = \"http://127.0.0.1:9/v1\" }]\n\
         [upstreams]\nhealth_interval_secs = 1\n",
    )
    .await;
    let url = format!("http://{}", failed.address);
    let line = format!("stockade-server: {url}/health/ready: failed (503 Service Unavailable)\n");
    until_async("the health check has failed", async || {
        // Sleeps: health checks of an address are limited.
        time::sleep(Duration::from_millis(250)).await;
        health(&["--url", &url]).await == (Some(1), line.clone())
    })
    .await;
    let live = health(&["--url", &url, "--live"]).await;
    assert_eq!(live, (Some(0), "live\n".to_owned()));
}

#[tokio::test]
async fn finds_the_server_of_a_configuration() {
    let upstream = ScriptedUpstream::http1().await;
    // The host of the probe is not in the list.
    let gateway = Gateway::new(&upstream, "[server]\nhosts = [\"api.example.com\"]\n").await;
    let config = gateway.folder.path().join("health.toml");
    let port = gateway.address.port();
    let keys = gateway.folder.path().join("keys.yaml");
    let text = format!("[server]\nlisten = \"0.0.0.0:{port}\"\n[auth]\nkeys_file = {keys:?}\n");
    fs::write(&config, text).unwrap();
    let (exit, text) = health(&["--live", "--config", config.to_str().unwrap()]).await;
    assert_eq!((exit, text.as_str()), (Some(0), "live\n"));
}

#[tokio::test]
async fn trusts_only_the_certificate_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // Not the name under which the command connects.
    let write = |certificate: &str, key: &str| {
        let pair = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["api.example.com".to_owned()]).unwrap();
        fs::write(path(certificate), params.self_signed(&pair).unwrap().pem()).unwrap();
        fs::write(path(key), pair.serialize_pem()).unwrap();
    };
    write("server.pem", "server.key");
    write("other.pem", "other.key");
    let tls = |certificate: &str, key: &str| {
        let (certificate, key) = (json!(path(certificate)), json!(path(key)));
        format!("[server.tls]\ncertificate_file = {certificate}\nkey_file = {key}\n")
    };
    let upstream = ScriptedUpstream::http1().await;
    let gateway = Gateway::new(&upstream, &tls("server.pem", "server.key")).await;
    let config = |tls: &str| {
        let file = path("health.toml");
        let address = gateway.address;
        let auth = "[auth]\nkeys_file = \"keys.yaml\"\n";
        fs::write(
            &file,
            format!("[server]\nlisten = \"{address}\"\n{auth}{tls}"),
        )
        .unwrap();
        file.to_str().unwrap().to_owned()
    };
    let file = config(&tls("server.pem", "server.key"));
    assert_eq!(
        health(&["--live", "--config", &file]).await,
        (Some(0), "live\n".to_owned())
    );
    let file = config(&tls("other.pem", "other.key"));
    let (exit, text) = health(&["--live", "--config", &file]).await;
    assert_eq!(exit, Some(1));
    assert!(
        text.contains("cannot be reached") && text.contains("UnknownIssuer"),
        "{text}"
    );
}

#[tokio::test]
async fn reports_why_there_is_no_answer() {
    let (exit, text) = health(&["--url", "http://127.0.0.1:9"]).await;
    assert_eq!(exit, Some(1));
    let expected = "stockade-server: http://127.0.0.1:9/health/ready cannot be reached: ";
    assert!(
        text.starts_with(expected) && text.lines().count() == 1,
        "{text}"
    );

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let (exit, text) = health(&["--url", &url, "--timeout", "1"]).await;
    assert_eq!(exit, Some(1));
    assert!(
        text.ends_with("/health/ready has not responded within 1 s\n"),
        "{text}"
    );

    let (exit, text) = health(&["--url", "127.0.0.1:8000"]).await;
    assert_eq!(exit, Some(2));
    assert!(text.contains("use http://HOST:PORT"), "{text}");
}

#[tokio::test]
async fn names_the_setting_that_demands_a_certificate_of_clients() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("health.toml");
    let tls = "[server.tls]\ncertificate_file = \"a.pem\"\nkey_file = \"a.key\"\nclient_ca_file = \"c.pem\"\n";
    fs::write(&config, format!("{tls}[auth]\nkeys_file = \"keys.yaml\"\n")).unwrap();
    let (exit, text) = health(&["--config", config.to_str().unwrap()]).await;
    assert_eq!(exit, Some(1));
    assert!(
        text.contains("server.tls.client_auth: clients need a certificate"),
        "{text}"
    );
}
