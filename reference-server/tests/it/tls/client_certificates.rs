//! Certificates of clients.

use std::fs;

use reqwest::{Client, Identity};
use stockade_testkit::poll::until_async;

use super::{Authority, start};
use crate::{server_process::ServerProcess, test_server::FULL_KEY};

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
