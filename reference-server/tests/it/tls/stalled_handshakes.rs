//! Thousands of handshakes that never complete.

use std::process::{self, Command};

use stockade_testkit::poll::until_async;
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};

use super::{authority::Authority, start};
use crate::{
    server_process::ServerProcess,
    slow_clients::drip,
    test_server::READER_KEY,
    wire::{Received, read_to_end},
};

const STALLED: usize = 1_000;
/// The maximum memory per stalled handshake.
const EACH: usize = 32 << 10;
/// The first bytes of a ClientHello.
const HELLO: &str = "\x16\x03\x01\x01\x40\x01\x00\x01\x3c\x03\x03";

/// Raises the limit of open files: each connection needs a descriptor, and the default is 1,024.
fn raise_descriptors() {
    let this = process::id().to_string();
    let raised = Command::new("prlimit")
        .args(["--pid", &this, "--nofile=8192:"])
        .status();
    assert!(raised.unwrap().success());
}

/// Sends nothing, part of the hello, or bytes too slowly, until the server closes the connection.
async fn stall(number: usize, mut stream: TcpStream) -> Received {
    match number % 5 {
        0 => return drip(stream, HELLO.to_owned(), b"\0").await,
        1 | 2 => stream.write_all(HELLO.as_bytes()).await.unwrap(),
        _ => {}
    }
    read_to_end(&mut stream).await
}

async fn is_served(server: &ServerProcess) {
    let models = server.get("/v1/models", READER_KEY).send().await.unwrap();
    assert_eq!(models.status(), 200);
}

/// Opens [`STALLED`] handshakes to a server with these limits. Returns the number of other
/// requests that were served while all of them were open.
async fn flood(max_connections: usize, seconds: u32) -> usize {
    raise_descriptors();
    let authority = Authority::new();
    let lines = format!(
        "[server]\nheader_timeout_secs = {seconds}\nmax_connections = {max_connections}\n\
         max_connections_per_address = {max_connections}\ndangerous_allow_debugging = true\n"
    );
    // Pooled connections would avoid handshakes and hold descriptors.
    let client = authority.client().pool_max_idle_per_host(0);
    let server = start(&authority, &lines).with_client(client.build().unwrap());
    server.wait_for_log("not available");
    is_served(&server).await;
    let (descriptors, memory) = (server.descriptors(), server.peak_memory());

    let mut stalled = JoinSet::new();
    for number in 0..STALLED {
        let stream = TcpStream::connect(server.address).await.unwrap();
        stalled.spawn(stall(number, stream));
    }
    let mut meanwhile = 0;
    while !stalled.is_empty() {
        tokio::select! {
            ended = stalled.join_next() => assert!(ended.unwrap().unwrap().closed),
            () = is_served(&server) => {
                if stalled.len() == STALLED {
                    meanwhile += 1;
                }
            }
        }
    }
    is_served(&server).await;
    until_async("all descriptors are released", async || {
        server.descriptors() <= descriptors
    })
    .await;
    let grown = server.peak_memory() - memory;
    assert!(grown <= STALLED * EACH, "{grown} bytes more");
    assert_eq!(server.stop(), Some(0));
    meanwhile
}

// H03
#[tokio::test]
async fn time_out_while_others_are_served() {
    assert!(flood(2 * STALLED, 8).await > 0);
}

// H03
#[tokio::test]
async fn time_out_when_they_hold_all_connections() {
    flood(STALLED / 4, 2).await;
}
