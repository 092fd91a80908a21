//! Malicious HTTP/2 clients, frame by frame.

use std::{net::SocketAddr, sync::Arc};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};

use crate::{
    scripted_backend::{Script, ScriptedBackend, wait_until},
    test_server::{FULL_KEY, TestServer, chat_body},
    wire::TIMEOUT,
};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SHORT: &str =
    "[server]\nheader_timeout_secs = 1\nbody_timeout_secs = 1\nrequest_timeout_secs = 1\n";

// RFC 9113, 6: types of frames, and their flags.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

const ENHANCE_YOUR_CALM: u32 = 11;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header field whose name has this index in HPACK's static table.
pub(crate) fn field(name: u8, value: &str) -> Vec<u8> {
    let mut field = match name {
        ..15 => vec![name],
        _ => vec![15, name - 15],
    };
    field.push(
        u8::try_from(value.len())
            .ok()
            .filter(|length| *length < 127)
            .unwrap(),
    );
    field.extend(value.as_bytes());
    field
}

/// `GET /health`.
fn health() -> Vec<u8> {
    [vec![0x82, 0x86], field(4, "/health"), field(1, "a")].concat()
}

/// `POST /v1/chat/completions` with a key.
fn chat() -> Vec<u8> {
    [
        vec![0x83, 0x86],
        field(4, "/v1/chat/completions"),
        field(1, "a"),
        field(23, &format!("Bearer {FULL_KEY}")),
        field(31, "application/json"),
    ]
    .concat()
}

/// Stream ids of a client, which are odd.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| 2 * number + 1)
}

/// How the server ended a connection.
#[derive(Debug)]
struct ConnectionEnd {
    /// The error code of the last GOAWAY frame.
    reason: Option<u32>,
}

/// Opens a connection, sends these frames, and waits until the server closes it.
async fn send(address: SocketAddr, settings: &[u8], frames: &[u8]) -> ConnectionEnd {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let begin = [PREFACE, &frame(SETTINGS, 0, 0, settings)].concat();
    stream.write_all(&begin).await.unwrap();
    let (mut incoming, mut outgoing) = stream.split();
    let mut received = Vec::new();
    // Reads the responses; otherwise flow control would stop the flood.
    let reading = async { while matches!(incoming.read_buf(&mut received).await, Ok(1..)) {} };
    let writing = async {
        // Fails when the server closes the connection.
        let _ = outgoing.write_all(frames).await;
        std::future::pending().await
    };
    let ended = async {
        tokio::select! {
            () = reading => {}
            () = writing => {}
        }
    };
    let ended = time::timeout(TIMEOUT, ended).await;
    ended.expect("the server closes the connection");
    ConnectionEnd {
        reason: reason(&received),
    }
}

fn reason(mut received: &[u8]) -> Option<u32> {
    let mut reason = None;
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = received {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let payload = rest.get(..length)?;
        if *kind == GOAWAY {
            reason = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
        received = &rest[length..];
    }
    reason
}

/// Floods a server, and checks that other clients are served during and after the flood.
async fn flood(frames: Vec<u8>) -> ConnectionEnd {
    let server = TestServer::with(Arc::new(ScriptedBackend::new(Script::Talk)), SHORT).await;
    let good = async || assert_eq!(server.chat_with(json!({})).await.status(), 200);
    let mut flood = Box::pin(send(server.address, &[], &frames));
    loop {
        tokio::select! {
            ended = &mut flood => {
                good().await;
                return ended;
            }
            () = good() => {}
        }
    }
}

// H02: CVE-2023-44487
#[tokio::test]
async fn rapid_resets_close_the_connection() {
    let cancel = 8_u32.to_be_bytes();
    let pairs = streams(20_000).flat_map(|stream| {
        let open = frame(HEADERS, END_HEADERS | END_STREAM, stream, &health());
        [open, frame(RST_STREAM, 0, stream, &cancel)].concat()
    });
    assert_eq!(flood(pairs.collect()).await.reason, Some(ENHANCE_YOUR_CALM));
}

// H02: CVE-2025-8671, "MadeYouReset"
#[tokio::test]
async fn provoked_resets_close_the_connection() {
    let over = 0x7fff_ffff_u32.to_be_bytes();
    let pairs = streams(20_000).flat_map(|stream| {
        let open = frame(HEADERS, END_HEADERS, stream, &chat());
        [open, frame(WINDOW_UPDATE, 0, stream, &over)].concat()
    });
    assert_eq!(flood(pairs.collect()).await.reason, Some(ENHANCE_YOUR_CALM));
}

// H02: CVE-2024-27316 and similar
#[tokio::test]
async fn endless_headers_close_the_connection() {
    let field = [field(1, "a"), vec![0, 1, b'n', 126], vec![b'v'; 126]].concat();
    let more = frame(CONTINUATION, 0, 1, &field.repeat(100));
    let frames = [frame(HEADERS, 0, 1, &health()), more.repeat(1_000)].concat();
    assert!(flood(frames).await.reason.is_some_and(|reason| reason > 0));
}

// H02
#[tokio::test]
async fn empty_continuations_close_the_connection() {
    let empty = frame(CONTINUATION, 0, 1, &[]);
    let frames = [frame(HEADERS, 0, 1, &health()), empty.repeat(50_000)].concat();
    assert!(flood(frames).await.reason.is_some_and(|reason| reason > 0));
}

// H02
#[tokio::test]
async fn empty_data_frames_close_the_connection() {
    let empty = frame(DATA, 0, 1, &[]);
    let frames = [
        frame(HEADERS, END_HEADERS, 1, &chat()),
        empty.repeat(50_000),
    ]
    .concat();
    flood(frames).await;
}

// H02, FA12
#[tokio::test]
async fn floods_of_frames_that_carry_nothing_close_the_connection() {
    // Not even an idle connection is closed within the time of the test.
    let lines = "[server]\nheader_timeout_secs = 60\n";
    let server = TestServer::with(Arc::new(ScriptedBackend::new(Script::Talk)), lines).await;
    for one in [
        frame(PING, 0, 0, &[0; 8]),
        frame(SETTINGS, 0, 0, &[]),
        frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]),
        frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        frame(0xfe, 0, 0, b"unknown"),
    ] {
        let ended = send(server.address, &[], &one.repeat(50_000)).await;
        assert_eq!(ended.reason, Some(ENHANCE_YOUR_CALM), "type {}", one[3]);
        assert_eq!(server.chat_with(json!({})).await.status(), 200);
    }
}

// B03, R10
#[tokio::test]
async fn a_stream_without_window_does_not_hold_a_slot() {
    let backend = ScriptedBackend::new(Script::Talk);
    let running = backend.running();
    let server = TestServer::with(Arc::new(backend), SHORT).await;
    let no_window = [0, 4, 0, 0, 0, 0];
    let body = chat_body(json!("hello"), json!({"stream": true, "max_tokens": 100}));
    let frames = streams(3).flat_map(|stream| {
        [
            frame(HEADERS, END_HEADERS, stream, &chat()),
            frame(DATA, END_STREAM, stream, body.to_string().as_bytes()),
        ]
        .concat()
    });
    let frames: Vec<u8> = frames.collect();
    tokio::join!(send(server.address, &no_window, &frames), async {
        wait_until(&running, 3).await;
        wait_until(&running, 0).await;
    });
}
