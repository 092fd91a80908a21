//! ClientHello messages of old versions and in fragments.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use rustls::{ClientConfig, ClientConnection};
use tokio::task;

use super::{authority::Authority, start};
use crate::{
    test_server::FULL_KEY,
    wire::{TIMEOUT, send_raw},
};

// RFC 5246: types of records and of handshake messages, and an alert.
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const SERVER_HELLO: u8 = 2;
const FATAL: u8 = 2;
const HANDSHAKE_FAILURE: u8 = 40;
const PROTOCOL_VERSION: u8 = 70;

// RFC 8446, 4.2: extensions of a hello.
const SUPPORTED_GROUPS: &[u8] = &[0, 10, 0, 6, 0, 4, 0, 0x1d, 0, 0x17];
const EC_POINT_FORMATS: &[u8] = &[0, 11, 0, 2, 1, 0];
const SIGNATURE_ALGORITHMS: &[u8] = &[0, 13, 0, 6, 0, 4, 4, 3, 8, 4];
/// TLS 1.1 and 1.0.
const OLD_VERSIONS: &[u8] = &[0, 43, 0, 5, 4, 3, 2, 3, 1];

/// A value prefixed with its length in `width` bytes.
fn sized(width: usize, value: &[u8]) -> Vec<u8> {
    let length = value.len().to_be_bytes();
    [&length[length.len() - width..], value].concat()
}

/// A ClientHello of TLS 1.`minor - 1`, with cipher suites for each version.
fn hello(minor: u8, extensions: &[&[u8]]) -> Vec<u8> {
    let suites = [0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x09, 0xc0, 0x13, 0, 0x2f];
    let body = [
        &[3, minor],
        &[7; 32][..],
        &sized(1, &[]),
        &sized(2, &suites),
        &sized(1, &[0]),
        &sized(2, &extensions.concat()),
    ]
    .concat();
    let message = [&[1], &sized(3, &body)[..]].concat();
    [&[HANDSHAKE, 3, 1], &sized(2, &message)[..]].concat()
}

// H03
#[tokio::test]
async fn refuses_versions_before_1_2() {
    let authority = Authority::new();
    let server = start(&authority, "[server]\nheader_timeout_secs = 3600\n");
    let before = [SUPPORTED_GROUPS, EC_POINT_FORMATS];
    let since = [SUPPORTED_GROUPS, EC_POINT_FORMATS, SIGNATURE_ALGORITHMS];

    // The same message with a supported version is accepted.
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.write_all(&hello(3, &since)).unwrap();
    let mut answer = [0; 6];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!((answer[0], answer[5]), (HANDSHAKE, SERVER_HELLO));

    for (hello, why) in [
        // Missing TLS 1.2 extensions are detected before the version.
        (hello(1, &before), HANDSHAKE_FAILURE),
        (hello(2, &before), HANDSHAKE_FAILURE),
        (hello(1, &since), PROTOCOL_VERSION),
        (hello(2, &since), PROTOCOL_VERSION),
        (
            hello(3, &[&since[..], &[OLD_VERSIONS]].concat()),
            PROTOCOL_VERSION,
        ),
    ] {
        let received = send_raw(server.address, &hello).await;
        assert!(received.closed);
        // All bytes are ASCII.
        let answer = received.text.as_bytes();
        assert_eq!((answer[0], &answer[5..]), (ALERT, &[FATAL, why][..]));
    }
    let models = server.get("/v1/models", FULL_KEY).send().await.unwrap();
    assert_eq!(models.status(), 200);
}

/// Writes one byte at a time.
struct ByteByByte(TcpStream);

impl Write for ByteByByte {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(&bytes[..bytes.len().min(1)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Read for ByteByByte {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

/// Splits a record into records of one byte.
fn fragmented(record: &[u8]) -> Vec<u8> {
    let (head, payload) = record.split_at(5);
    assert_eq!(head[3..], sized(2, payload)[..2], "one record");
    let piece = |byte: &u8| [head[0], head[1], head[2], 0, 1, *byte];
    payload.iter().flat_map(piece).collect()
}

/// Sends a request with a ClientHello sent by `send`; returns the response.
fn ask(
    config: Arc<ClientConfig>,
    address: SocketAddr,
    send: fn(&mut TcpStream, Vec<u8>) -> io::Result<()>,
) -> String {
    let mut client = ClientConnection::new(config, address.ip().into()).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    send(&mut stream, hello).unwrap();
    let mut stream = rustls::StreamOwned::new(client, stream);
    let ask = b"GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(ask).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

// H03: CVE-2024-11738 and similar
#[tokio::test]
async fn accepts_a_fragmented_client_hello() {
    let authority = Authority::new();
    let server = start(&authority, "");
    let (config, address) = (authority.connections(), server.address);
    for send in [
        (|stream, hello| stream.write_all(&fragmented(&hello)))
            as fn(&mut TcpStream, Vec<u8>) -> io::Result<()>,
        |stream, hello| ByteByByte(stream.try_clone()?).write_all(&hello),
        |stream, hello| ByteByByte(stream.try_clone()?).write_all(&fragmented(&hello)),
    ] {
        let config = Arc::clone(&config);
        let answer = task::spawn_blocking(move || ask(config, address, send));
        let answer = answer.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    }
    assert_eq!(server.stop(), Some(0));
}
