//! Clients that hold many connections.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Instant,
};

use stockade_testkit::poll::until_async;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};

use crate::{
    server_process::ServerProcess,
    test_server::{READER_KEY, TestServer},
    wire::{Received, read_to_end},
};

/// Connects from an address of this machine.
async fn connect_from(last: u8, server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let address = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
    socket.bind(SocketAddr::new(address, 0)).unwrap();
    socket.connect(server).await.unwrap()
}

async fn is_served(mut stream: TcpStream) -> bool {
    let ask = format!(
        "GET /v1/models HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {READER_KEY}\r\n\
         connection: close\r\n\r\n"
    );
    // Fails if the server has closed the connection.
    let _ = stream.write_all(ask.as_bytes()).await;
    let received: Received = read_to_end(&mut stream).await;
    received.statuses() == [200]
}

// FA11
#[tokio::test]
async fn one_address_cannot_hold_all_connections() {
    let lines = "[server]\nmax_connections = 8\nheader_timeout_secs = 60\n";
    let server = ServerProcess::start(lines);
    server.wait_for_log("not available");
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(connect_from(2, server.address).await);
    }
    // Half of all connections.
    for _ in 0..100 {
        assert!(!is_served(connect_from(2, server.address).await).await);
    }
    assert!(is_served(connect_from(3, server.address).await).await);
    let refused = server.metric("stockade_connections_refused_total").await;
    assert_eq!(refused, Some(100.0));
    server.wait_for_log("closed a connection of an address that has too many");

    drop(held.pop());
    until_async("a place", async || {
        is_served(connect_from(2, server.address).await).await
    })
    .await;
}

// FA11
#[tokio::test]
async fn a_trusted_proxy_holds_more() {
    let lines = "[server]\nmax_connections_per_address = 1\n\
                 [client_ip]\ntrusted_proxies = [\"127.0.0.2\"]\nheader = \"x-forwarded-for\"\n";
    let server = TestServer::start_with(lines).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(connect_from(2, server.address).await);
    }
    assert!(is_served(connect_from(2, server.address).await).await);
    let _only = connect_from(3, server.address).await;
    assert!(!is_served(connect_from(3, server.address).await).await);
}

// FA11
#[tokio::test]
async fn idle_connections_are_closed_earlier_when_few_are_left() {
    let lines = "[server]\nmax_connections = 8\nmax_connections_per_address = 8\n\
                 header_timeout_secs = 12\n";
    let server = TestServer::start_with(lines).await;
    let start = Instant::now();
    let mut idle = JoinSet::new();
    for last in 2..8 {
        let mut stream = connect_from(last, server.address).await;
        idle.spawn(async move { read_to_end(&mut stream).await.closed });
    }
    // Until no more than half of all are open.
    for _ in 0..2 {
        assert!(idle.join_next().await.unwrap().unwrap());
    }
    assert!(start.elapsed().as_secs() < 12, "{:?}", start.elapsed());
}
