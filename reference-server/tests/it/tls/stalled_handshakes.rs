//! Handshakes that never end, by the thousand.

use std::process::{self, Command};

use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};

use super::{authority::Authority, start};
use crate::{
    server_process::{ServerProcess, wait_until},
    slow_clients::drip,
    test_server::READER_KEY,
    wire::{Received, read_to_end},
};

const STALLED: usize = 1_000;
/// What one of them may take of the server's memory.
const EACH: usize = 32 << 10;
/// The first bytes of a hello.
const HELLO: &str = "\x16\x03\x01\x01\x40\x01\x00\x01\x3c\x03\x03";

/// Both ends of each connection need a descriptor, and a process begins with 1,024 of them.
fn raise_descriptors() {
    let this = process::id().to_string();
    let raised = Command::new("prlimit")
        .args(["--pid", &this, "--nofile=8192:"])
        .status();
    assert!(raised.unwrap().success());
}

/// Comes, says nothing, or not all, or all too slowly, and stays until it is let go.
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

/// A thousand of them against a server that takes so many connections and waits so long for
/// each. Gives how many others were served while all of them were there.
async fn flood(max_connections: usize, seconds: u32) -> usize {
    raise_descriptors();
    let authority = Authority::new();
    let lines =
        format!("[server]\nheader_timeout_secs = {seconds}\nmax_connections = {max_connections}\n");
    // A connection that is kept is neither a handshake nor given back.
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
    wait_until("all descriptors given back", || {
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
async fn they_are_timed_out_and_others_are_served_beside_them() {
    assert!(flood(2 * STALLED, 8).await > 0);
}

// H03
#[tokio::test]
async fn they_are_timed_out_where_they_hold_all_places_and_others_have_their_turn() {
    flood(STALLED / 4, 2).await;
}
