//! Bodies of clients who are not let in: nobody waits for them, and nobody reads them.

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

/// A hundred megabytes.
const ANNOUNCED: usize = 100 << 20;
/// What a server may take of a request that it refuses.
const TAKEN_AT_MOST: usize = 64 << 10;

fn head(key: &str, fields: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\n{fields}\r\n"
    )
}

// S07
#[tokio::test]
async fn a_refusal_waits_for_no_byte_of_the_body() {
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
                // Nobody was asked to go on, either: that would be an answer, too.
                assert_eq!(received.statuses(), [status], "{head}{}", received.text);
                assert!(received.closed, "{head}");
            }
        }
    }

    // Who may is told to go on.
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
async fn a_body_that_is_sent_all_the_same_is_not_taken() {
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
        // What nobody has taken by then, waits in the buffers of the two ends.
        let sent = tokio::time::timeout(TIMEOUT, sending).await;
        let sent = sent.expect("the server ends the connection").unwrap();
        assert!(sent <= TAKEN_AT_MOST + on_the_way, "{sent} bytes were sent");
    }
}

/// How many bytes wait for a process that does not read its connection.
fn receive_buffer() -> usize {
    let sizes = fs::read_to_string("/proc/sys/net/ipv4/tcp_rmem").unwrap();
    let [_least, default, _most] = sizes.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("{sizes}");
    };
    default.parse().unwrap()
}
