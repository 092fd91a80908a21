//! A process with a low limit of open files.

use std::fs;

use stockade_testkit::poll::until_async;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{server_process::ServerProcess, test_server::FULL_KEY};

const FEW: usize = 256;

/// The status of one request on a connection that stays open.
async fn status(stream: &mut TcpStream) -> u16 {
    let ask =
        format!("HEAD /v1/models HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {FULL_KEY}\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
    }
    String::from_utf8_lossy(&answer[9..12]).parse().unwrap()
}

// FA04
#[tokio::test]
async fn reserves_descriptors_for_a_revocation() {
    let lines = "[server]\nmax_connections = 4096\nmax_connections_per_address = 4096\n\
                 header_timeout_secs = 60\ndangerous_allow_debugging = true\n";
    let server = ServerProcess::start_after(&format!("ulimit -n {FEW}"), lines);
    let lowered = server.startup_log("too low for server.max_connections");
    assert_eq!(lowered["lowered_to"], FEW - 64);
    let limit = server.metric("stockade_connections_limit").await;
    assert_eq!(limit, Some((FEW - 64) as f64));

    let mut kept = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(status(&mut kept).await, 200);
    let mut idle = Vec::new();
    // More than the limit, and fewer than the listen backlog.
    for _ in 0..FEW {
        idle.push(TcpStream::connect(server.address).await.unwrap());
    }
    until_async("the server has reached its limit", async || {
        server.descriptors() > FEW - 64
    })
    .await;
    assert!(server.descriptors() < FEW - 16, "{}", server.descriptors());

    fs::write(server.file("keys.yaml"), "keys: []\n").unwrap();
    until_async("the key is revoked", async || {
        status(&mut kept).await == 401
    })
    .await;
}

// FA04
#[tokio::test]
async fn raises_the_soft_limit() {
    let lines = "[server]\nmax_connections = 500\n";
    let server = ServerProcess::start_after("ulimit -S -n 128", lines);
    let limit = server.metric("stockade_connections_limit").await;
    assert_eq!(limit, Some(500.0));
}

// FA04
#[tokio::test]
async fn serves_and_revokes_again_after_descriptors_ran_out() {
    let server = ServerProcess::start("");
    let mut kept = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(status(&mut kept).await, 200);

    // Fewer than it has open.
    server.limit("nofile=8:");
    // The kernel accepts it.
    let mut waiting = TcpStream::connect(server.address).await.unwrap();
    server.wait_for_log("cannot accept connections; retrying");
    assert_eq!(status(&mut kept).await, 200);
    fs::write(server.file("keys.yaml"), "keys: []\n").unwrap();
    let failed = server.wait_for_log("reload failed");
    let error = failed["error"].as_str().unwrap();
    assert!(error.contains("Too many open files"), "{failed}");
    assert_eq!(status(&mut kept).await, 200, "the last good keys");

    server.limit("nofile=256:");
    // Which of both is first is open: the accept, or the reload.
    assert!(matches!(status(&mut waiting).await, 200 | 401));
    until_async("the keys are read again", async || {
        status(&mut kept).await == 401
    })
    .await;
    assert_eq!(status(&mut waiting).await, 401);
    let again = TcpStream::connect(server.address).await;
    assert_eq!(status(&mut again.unwrap()).await, 401);
}
