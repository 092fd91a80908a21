//! Slow clients, and other clients that are served at the same time.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use stockade_server::{ShutdownReport, ShutdownSignal};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time,
};

use crate::{
    scripted_backend::{Script, ScriptedBackend, wait_until},
    server_process::ServerProcess,
    test_server::{FULL_KEY, READER_KEY, TestServer, chat_body},
    wire::{Received, TIMEOUT, read_to_end},
};

const SHORT: &str =
    "[server]\nheader_timeout_secs = 1\nbody_timeout_secs = 1\nrequest_timeout_secs = 1\n";
/// The number of slow clients of each kind.
const SLOW: usize = 16;
/// The number of clients that do not read. The kernel buffers some megabytes for each of them.
const UNREAD: usize = 3;

fn head(length: usize) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {FULL_KEY}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// Sends `first` at once, then the bytes of `then` one at a time, repeatedly.
pub(crate) async fn drip(mut stream: TcpStream, first: String, then: &'static [u8]) -> Received {
    if stream.write_all(first.as_bytes()).await.is_ok() {
        let (mut incoming, mut outgoing) = stream.split();
        let dripping = async {
            let mut pace = time::interval(Duration::from_millis(50));
            for byte in then.iter().cycle() {
                pace.tick().await;
                if outgoing.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
        };
        let mut received = [0; 4_096];
        let answered = async { while matches!(incoming.read(&mut received).await, Ok(1..)) {} };
        tokio::select! {
            () = dripping => {}
            () = answered => {}
        }
    }
    read_to_end(&mut stream).await
}

/// Requests a long response and reads none of it.
async fn never_read(server: &TestServer) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    let fields = json!({"stream": true, "max_tokens": 8_000});
    let body = chat_body(json!("hello"), fields).to_string();
    let request = head(body.len()) + &body;
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

// B03
#[tokio::test]
async fn slow_senders_time_out_and_others_are_served() {
    let server = TestServer::with(Arc::new(ScriptedBackend::new(Script::Talk)), SHORT).await;
    let mut slow = JoinSet::new();
    let begun = "GET /health HTTP/1.1\r\n".to_owned();
    for _ in 0..SLOW {
        for (first, then) in [
            (String::new(), &b"GET"[..1]),
            (begun.clone(), &b"x: a\r\n"[..]),
            (head(10_000), &b" "[..]),
        ] {
            let stream = TcpStream::connect(server.address).await.unwrap();
            slow.spawn(drip(stream, first, then));
        }
    }
    let mut good = 0;
    while !slow.is_empty() {
        tokio::select! {
            ended = slow.join_next() => assert!(ended.unwrap().unwrap().closed),
            answer = server.chat_with(json!({})) => {
                assert_eq!(answer.status(), 200);
                good += 1;
            }
        }
    }
    assert!(good > 0);
}

// B03, R10
#[tokio::test]
async fn a_client_that_does_not_read_does_not_hold_a_slot() {
    let backend = ScriptedBackend::new(Script::Talk);
    let running = backend.running();
    let server = TestServer::with(Arc::new(backend), SHORT).await;
    let mut unread = Vec::new();
    for _ in 0..UNREAD {
        unread.push(never_read(&server).await);
    }
    wait_until(&running, UNREAD).await;
    // These bodies are not polled, so they cannot check their deadlines.
    wait_until(&running, 0).await;
    for mut stream in unread {
        assert!(read_to_end(&mut stream).await.closed);
    }
}

// H01
#[tokio::test]
async fn shutdown_does_not_wait_for_a_client_that_does_not_read() {
    let backend = ScriptedBackend::new(Script::Talk);
    let running = backend.running();
    let server = TestServer::with(Arc::new(backend), "").await;
    let mut unread = Vec::new();
    for _ in 0..UNREAD {
        unread.push(never_read(&server).await);
    }
    wait_until(&running, UNREAD).await;
    server.shutdown.send_replace(ShutdownSignal::Immediate);
    // The final error cannot be delivered.
    let ended = time::timeout(TIMEOUT, server.report)
        .await
        .unwrap()
        .unwrap();
    let expected = ShutdownReport {
        aborted: UNREAD,
        immediate: true,
    };
    assert_eq!(ended, expected);
    wait_until(&running, 0).await;
}

// B03
#[tokio::test]
async fn closes_an_idle_connection_after_a_response() {
    let server = TestServer::with(Arc::new(ScriptedBackend::new(Script::Hang)), SHORT).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let ask = b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n";
    stream.write_all(ask).await.unwrap();
    let received = read_to_end(&mut stream).await;
    assert_eq!(received.statuses(), [200]);
    assert!(received.closed);
}

// H04
#[tokio::test]
async fn accepts_connections_again_after_descriptors_were_exhausted() {
    let lines = "[server]\nheader_timeout_secs = 2\nmax_connections_per_address = 100\n";
    let server = ServerProcess::start_after("ulimit -n 64", lines);
    let mut idle = Vec::new();
    for _ in 0..80 {
        idle.push(TcpStream::connect(server.address).await.unwrap());
    }
    // They send nothing, so they time out; clients behind them are served.
    let health = server.get("/v1/models", READER_KEY).send().await.unwrap();
    assert_eq!(health.status(), 200);
    for stream in &mut idle {
        assert!(read_to_end(stream).await.closed);
    }
    assert_eq!(server.stop(), Some(0));
}
