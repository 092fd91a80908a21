//! The server neither waits for nor reads the bodies of unauthorized requests, except for small
//! ones, after which the connection is used again.

use std::{fs, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time,
};

use crate::{
    server_process::ServerProcess,
    test_server::{EXPIRED_KEY, FULL_KEY, READER_KEY},
    wire::{TIMEOUT, read_to_end},
};

/// The declared length: 100 MiB.
const ANNOUNCED: usize = 100 << 20;
/// The maximum number of bytes that the server reads of a refused request.
const TAKEN_AT_MOST: usize = 64 << 10;

fn head(key: &str, fields: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\n{fields}\r\n"
    )
}

// S07
#[tokio::test]
async fn refuses_without_waiting_for_the_body() {
    let server = ServerProcess::start("");
    let length = format!("content-length: {ANNOUNCED}\r\n");
    let chunked = "transfer-encoding: chunked\r\n".to_owned();
    for (key, status) in [("a-guess", 401), (EXPIRED_KEY, 401), (READER_KEY, 403)] {
        for framing in [&length, &chunked] {
            for expect in ["", "expect: 100-continue\r\n"] {
                let head = head(key, &format!("{framing}{expect}"));
                let mut stream = TcpStream::connect(server.address).await.unwrap();
                stream.write_all(head.as_bytes()).await.unwrap();
                let received = read_to_end(&mut stream).await;
                // No `100 Continue` either, which would be another response.
                assert_eq!(received.statuses(), [status], "{head}{}", received.text);
                assert!(received.closed && announces_close(&received.text), "{head}");
            }
        }
    }

    // An authorized client gets `100 Continue`.
    let fields = "connection: close\r\ncontent-length: 2\r\nexpect: 100-continue\r\n";
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = head(FULL_KEY, fields);
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.readable().await.unwrap();
    stream.write_all(b"{}").await.unwrap();
    assert_eq!(read_to_end(&mut stream).await.statuses(), [100, 400]);
}

// S07
#[tokio::test]
async fn does_not_read_a_body_that_is_sent_anyway() {
    let server = ServerProcess::start("");
    for expect in ["", "expect: 100-continue\r\n"] {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(4_096).unwrap();
        let on_the_way = socket.send_buffer_size().unwrap() as usize + receive_buffer();
        let stream = socket.connect(server.address).await.unwrap();
        let (mut incoming, mut outgoing) = stream.into_split();
        let length = format!("content-length: {ANNOUNCED}\r\n{expect}");
        let sending = tokio::spawn(async move {
            let head = head("a-guess", &length);
            outgoing.write_all(head.as_bytes()).await.unwrap();
            let (mut sent, chunk) = (0, [b'x'; 16 << 10]);
            while let Ok(length @ 1..) = outgoing.write(&chunk).await {
                sent += length;
            }
            sent
        });
        let received = read_to_end(&mut incoming).await;
        assert_eq!(received.statuses(), [401], "{}", received.text);
        assert!(received.closed && announces_close(&received.text));
        // The unread bytes are in the socket buffers of both ends.
        let sent = tokio::time::timeout(TIMEOUT, sending).await;
        let sent = sent.expect("the server ends the connection").unwrap();
        assert!(sent <= TAKEN_AT_MOST + on_the_way, "{sent} bytes were sent");
    }
}

// FH03
#[tokio::test]
async fn a_connection_survives_a_refusal_whose_small_body_comes_later() {
    let server = ServerProcess::start("");
    let refused = head("a-guess", "content-length: 2\r\n");
    let mut kept = 0;
    for _ in 0..5 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(refused.as_bytes()).await.unwrap();
        // Sleeps: the server refuses the head before the body arrives.
        time::sleep(Duration::from_millis(50)).await;
        stream.write_all(b"{}").await.unwrap();
        let refusal = response(&mut stream).await;
        assert!(refusal.starts_with("HTTP/1.1 401 "), "{refusal}");
        if announces_close(&refusal) {
            // The machine was busy for a second.
            continue;
        }
        let next = b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n";
        stream.write_all(next).await.unwrap();
        let next = response(&mut stream).await;
        assert!(next.starts_with("HTTP/1.1 200 "), "{next}");
        kept += 1;
    }
    assert_ne!(kept, 0);
}

// FH03
#[tokio::test]
async fn a_refusal_announces_the_close_if_a_small_body_never_comes() {
    let server = ServerProcess::start("");
    let refused = head("a-guess", "content-length: 2\r\n");
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(refused.as_bytes()).await.unwrap();
    let received = read_to_end(&mut stream).await;
    assert_eq!(received.statuses(), [401], "{}", received.text);
    assert!(
        received.closed && announces_close(&received.text),
        "{}",
        received.text
    );
}

/// Whether the client knows that the connection takes no more requests.
fn announces_close(response: &str) -> bool {
    response.contains("\r\nconnection: close\r\n")
}

/// Reads a response whose body is JSON.
async fn response(stream: &mut TcpStream) -> String {
    let mut received = Vec::new();
    let reading = async {
        while !received.ends_with(b"}") {
            assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0);
        }
    };
    time::timeout(TIMEOUT, reading).await.expect("a response");
    String::from_utf8(received).unwrap()
}

/// The default size of a socket's receive buffer.
fn receive_buffer() -> usize {
    let sizes = fs::read_to_string("/proc/sys/net/ipv4/tcp_rmem").unwrap();
    let [_least, default, _most] = sizes.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("{sizes}");
    };
    default.parse().unwrap()
}
