//! `server.tls.client_crl_file`.

use std::{fs, os::unix::fs::symlink, path::Path};

use reqwest::Client;
use stockade::{Environment, Format};
use stockade_server_config::ServerFile;
use stockade_testkit::poll::until_async;

use super::{Authority, metrics, status};
use crate::gateway::Gateway;

/// The serial numbers of the clients.
const REVOKED: u64 = 1;
const OTHER: u64 = 2;

/// The end of lists that are current.
const FAR: i32 = 2500;

/// A gateway with this file of lists.
async fn gateway(authority: &Authority, lists: &str) -> Gateway {
    let files = [
        ("client_ca_file", "authority.pem"),
        ("client_crl_file", lists),
    ];
    authority.gateway(&files).await
}

/// Replaces a file as programs do.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

/// Clients whose connections are closed after each request.
fn clients(authority: &Authority) -> [Client; 2] {
    [REVOKED, OTHER].map(|serial| {
        let client = authority.client(serial).pool_max_idle_per_host(0);
        client.http1_only().build().unwrap()
    })
}

async fn wait_for(expected: [Option<u16>; 2], clients: &[Client; 2], gateway: &Gateway) {
    until_async("the list is in force", async || {
        let [first, second] = clients;
        [status(first, gateway).await, status(second, gateway).await] == expected
    })
    .await;
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_when_the_list_is_replaced() {
    let authority = Authority::new();
    let lists = authority.path("lists.pem");
    fs::write(&lists, authority.list(&[], FAR)).unwrap();
    let gateway = gateway(&authority, "lists.pem").await;
    let clients = clients(&authority);
    wait_for([Some(200); 2], &clients, &gateway).await;
    let open = authority.client(REVOKED).build().unwrap();
    assert_eq!(status(&open, &gateway).await, Some(200));

    replace(&lists, &authority.list(&[REVOKED], FAR));
    wait_for([None, Some(200)], &clients, &gateway).await;
    until_async("the client receives the alert", async || {
        let request = clients[0].get(format!("https://{}/", gateway.address));
        let error = request.send().await.unwrap_err();
        format!("{error:?}").contains("CertificateRevoked")
    })
    .await;
    // The certificate is verified at the beginning of a connection.
    assert_eq!(status(&open, &gateway).await, Some(200));

    // An invalid file changes nothing.
    replace(&lists, "invalid");
    until_async("the failure is reported", async || {
        let metrics = metrics(&clients[1], &gateway).await;
        metrics.contains("stockade_source_failing{source=\"server.tls\"} 1\n")
    })
    .await;
    wait_for([None, Some(200)], &clients, &gateway).await;
    replace(&lists, &authority.list(&[], FAR));
    wait_for([Some(200); 2], &clients, &gateway).await;
}

#[tokio::test]
async fn a_list_is_replaced_by_a_link_as_in_kubernetes() {
    let authority = Authority::new();
    for (version, revoked) in [("1", &[][..]), ("2", &[REVOKED])] {
        fs::create_dir(authority.path(version)).unwrap();
        let file = authority.path(version).join("lists.pem");
        fs::write(file, authority.list(revoked, FAR)).unwrap();
    }
    symlink("1", authority.path("data")).unwrap();
    symlink("data/lists.pem", authority.path("lists.pem")).unwrap();
    let gateway = gateway(&authority, "lists.pem").await;
    let clients = clients(&authority);
    wait_for([Some(200); 2], &clients, &gateway).await;

    symlink("2", authority.path("data.new")).unwrap();
    fs::rename(authority.path("data.new"), authority.path("data")).unwrap();
    wait_for([None, Some(200)], &clients, &gateway).await;
}

#[tokio::test]
async fn certificates_without_a_current_list_are_refused() {
    let authority = Authority::new();
    let lists = authority.path("lists.pem");
    fs::write(&lists, authority.list(&[REVOKED], FAR)).unwrap();
    let gateway = gateway(&authority, "lists.pem").await;
    let clients = clients(&authority);
    wait_for([None, Some(200)], &clients, &gateway).await;
    for text in [
        authority.list(&[], 2021),
        // With the same name, and another key.
        Authority::new().list(&[], FAR),
    ] {
        replace(&lists, &text);
        wait_for([None; 2], &clients, &gateway).await;
        replace(&lists, &authority.list(&[], FAR));
        wait_for([Some(200); 2], &clients, &gateway).await;
    }
}

#[test]
fn an_expired_list_is_reported_by_check() {
    let authority = Authority::new();
    let text = "[auth]\nkeys_file = \"keys.yaml\"\n[[models]]\nname = \"small\"\n\
                upstream = [{ url = \"http://127.0.0.1:9/v1\" }]\n[server.tls]\n\
                certificate_file = \"server.pem\"\nkey_file = \"server.key\"\n\
                client_ca_file = \"authority.pem\"\nclient_crl_file = \"lists.pem\"\n";
    let file = ServerFile::parse_in(
        authority.folder.path(),
        text,
        Format::Toml,
        &Environment::default(),
    );
    let file = file.unwrap();
    let current = authority.list(&[REVOKED], FAR);
    for (lists, expected) in [
        (&*current, None),
        (
            &(current.clone() + &authority.list(&[], 2021)),
            Some("a list has expired"),
        ),
    ] {
        fs::write(authority.path("lists.pem"), lists).unwrap();
        let findings = file.findings();
        let found = findings
            .iter()
            .find(|finding| finding.setting == "server.tls.client_crl_file");
        assert_eq!(
            found.map(|finding| finding.reason.as_str()),
            expected,
            "{findings:?}"
        );
    }
}
