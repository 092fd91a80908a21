//! The server neither waits for nor reads the bodies of unauthorized requests.

use std::fs;

use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
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
                assert!(received.closed, "{head}");
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
        assert!(received.closed);
        // The unread bytes are in the socket buffers of both ends.
        let sent = tokio::time::timeout(TIMEOUT, sending).await;
        let sent = sent.expect("the server ends the connection").unwrap();
        assert!(sent <= TAKEN_AT_MOST + on_the_way, "{sent} bytes were sent");
    }
}

/// The default size of a socket's receive buffer.
fn receive_buffer() -> usize {
    let sizes = fs::read_to_string("/proc/sys/net/ipv4/tcp_rmem").unwrap();
    let [_least, default, _most] = sizes.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("{sizes}");
    };
    default.parse().unwrap()
}
