//! Certificates of clients.

use std::{fs, sync::Arc};

use rcgen::SanType;
use reqwest::{Client, Identity};
use rustls::{
    ClientConfig, HandshakeKind,
    version::{TLS12, TLS13},
};
use stockade_testkit::poll::until_async;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Authority, authority::connect, start};
use crate::{server_process::ServerProcess, test_server::FULL_KEY};

/// The identity of the key `agent`.
const AGENT: &str = "spiffe://example.org/agent";

/// The server's authority, and another one.
struct Authorities {
    own: Authority,
    other: Authority,
}

impl Authorities {
    fn new() -> Self {
        Self {
            own: Authority::new(),
            other: Authority::new(),
        }
    }

    /// A client with a certificate, or without one.
    fn client(&self, identity: Option<Identity>) -> Client {
        let client = self.own.client().pool_max_idle_per_host(0);
        let client = match identity {
            Some(identity) => client.identity(identity),
            None => client,
        };
        client.build().unwrap()
    }

    /// Whether requests succeed without a certificate, with a valid one and with one of the other
    /// authority.
    async fn admitted(&self, server: &ServerProcess) -> [bool; 3] {
        let clients = [
            None,
            Some(self.own.client_identity()),
            Some(self.other.client_identity()),
        ];
        let mut admitted = [false; 3];
        for (client, admitted) in clients.into_iter().zip(&mut admitted) {
            let url = format!("https://{}/v1/models", server.address);
            let request = self.client(client).get(url).bearer_auth(FULL_KEY);
            *admitted = request
                .send()
                .await
                .is_ok_and(|response| response.status() == 200);
        }
        admitted
    }
}

/// The settings in `[server.tls]` that are before the certificate.
fn start_with(authorities: &Authorities, settings: &str) -> ServerProcess {
    let clients = authorities.own.client_roots();
    fs::copy(authorities.own.roots(), &clients).unwrap();
    let server = start(&authorities.own, "");
    server.configure(&format!(
        "{}client_ca_file = {}\n{settings}",
        authorities.own.lines(),
        toml::Value::from(clients.to_str().unwrap())
    ));
    server.signal("HUP");
    server.wait_for_log("reloaded the configuration");
    server
}

#[tokio::test]
async fn only_clients_with_a_certificate_are_admitted() {
    let authorities = Authorities::new();
    let server = start_with(&authorities, "");
    assert_eq!(authorities.admitted(&server).await, [false, true, false]);

    // The file is watched.
    fs::copy(authorities.other.roots(), authorities.own.client_roots()).unwrap();
    until_async("the other authority is accepted", async || {
        authorities.admitted(&server).await == [false, false, true]
    })
    .await;
}

#[tokio::test]
async fn an_optional_certificate_must_be_valid() {
    let authorities = Authorities::new();
    let server = start_with(&authorities, "client_auth = \"optional\"\n");
    assert_eq!(authorities.admitted(&server).await, [true, true, false]);
}

fn uris<const N: usize>(uris: [&str; N]) -> Vec<SanType> {
    uris.map(|uri| SanType::URI(uri.try_into().unwrap())).into()
}

/// Adds a key with the certificate of the agent, and with these fields. The file is watched.
fn add_agent(server: &ServerProcess, fields: &str) {
    let file = server.file("keys.yaml");
    let keys = fs::read_to_string(&file).unwrap();
    let keys = keys.split("  - key_id: agent\n").next().unwrap();
    let agent = format!(
        "  - key_id: agent\n    scopes: [\"models:read\"]\n    expires_at: 2500-01-01T00:00:00Z\n\
         {fields}    certificate: {AGENT}\n"
    );
    fs::write(&file, format!("{keys}{agent}")).unwrap();
}

/// Waits for the status of requests for the models.
async fn wait_for(expected: u16, client: &Client, server: &ServerProcess) {
    until_async("the changed key is in force", async || {
        status(client, server, None).await == Some(expected)
    })
    .await;
}

/// The status of a request for the models.
async fn status(client: &Client, server: &ServerProcess, key: Option<&str>) -> Option<u16> {
    let mut request = client.get(format!("https://{}/v1/models", server.address));
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    Some(request.send().await.ok()?.status().as_u16())
}

#[tokio::test]
async fn a_certificate_authenticates_as_the_key_that_has_its_identity() {
    let authorities = Authorities::new();
    let server = start_with(&authorities, "client_auth = \"optional\"\n");
    add_agent(&server, "");
    let of = |names| authorities.client(Some(authorities.own.client_identity_with(names)));
    let agent = of(uris([AGENT]));
    wait_for(200, &agent, &server).await;
    // Not a scope of the key.
    let chat = format!("https://{}/v1/chat/completions", server.address);
    let chat = agent.post(chat).json(&serde_json::json!({"messages": []}));
    assert_eq!(chat.send().await.unwrap().status(), 403);
    // Another credential takes precedence.
    assert_eq!(status(&agent, &server, Some(FULL_KEY)).await, Some(200));
    assert_eq!(status(&agent, &server, Some("wrong")).await, Some(401));
    assert_eq!(status(&agent, &server, Some(AGENT)).await, Some(401));

    let without = authorities.client(None);
    assert_eq!(status(&without, &server, None).await, Some(401));
    assert_eq!(status(&without, &server, Some(AGENT)).await, Some(401));
    let dns = |name: &str| vec![SanType::DnsName(name.try_into().unwrap())];
    for names in [
        uris([AGENT, "https://example.org/"]),
        uris([AGENT, AGENT]),
        uris(["spiffe://example.org/other"]),
        uris(["spiffe://example.com/agent"]),
        dns("example.org"),
    ] {
        let client = of(names.clone());
        assert_eq!(status(&client, &server, None).await, Some(401), "{names:?}");
        // Requests with a key do not need an identity.
        let with = status(&client, &server, Some(FULL_KEY)).await;
        assert_eq!(with, Some(200), "{names:?}");
    }
    // An identity without a key is no offence.
    let unknown = of(uris(["spiffe://example.org/other"]));
    for _ in 0..30 {
        assert_eq!(status(&unknown, &server, None).await, Some(401));
    }
    assert_eq!(status(&agent, &server, None).await, Some(200));
    let forged = authorities.other.client_identity_with(uris([AGENT]));
    let forged = authorities.client(Some(forged));
    assert_eq!(status(&forged, &server, None).await, None);
}

#[tokio::test]
async fn a_revoked_key_is_refused_on_an_open_connection() {
    let authorities = Authorities::new();
    let server = start_with(&authorities, "");
    add_agent(&server, "");
    let identity = authorities.own.client_identity_with(uris([AGENT]));
    let client = authorities.own.client().identity(identity);
    let client = client.build().unwrap();
    wait_for(200, &client, &server).await;
    add_agent(&server, "    revoked_at: 2025-01-01T00:00:00Z\n");
    wait_for(401, &client, &server).await;
}

#[tokio::test]
async fn a_resumed_session_keeps_its_identity() {
    let authorities = Authorities::new();
    let server = start_with(&authorities, "client_auth = \"optional\"\n");
    add_agent(&server, "");
    let ask = async |config: &Arc<ClientConfig>| {
        let mut stream = connect(config, server.address).await;
        let head = b"GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        (stream.get_ref().1.handshake_kind().unwrap(), answer)
    };
    let agent = authorities.own.client_identity_with(uris([AGENT]));
    wait_for(200, &authorities.client(Some(agent)), &server).await;
    for version in [&TLS13, &TLS12] {
        let of = |names| authorities.own.connections_with(version, names);
        for (config, expected) in [
            (of(uris([AGENT])), "HTTP/1.1 200"),
            (of(uris([AGENT, AGENT])), "HTTP/1.1 401"),
        ] {
            for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
                assert_eq!(ask(&config).await, (kind, expected.to_owned()));
            }
        }
    }
}
