//! HTTP/2 refusals that are sent before the request has ended.

use std::{process::Command, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};

use crate::{
    http2_floods::{
        DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, RST_STREAM, SETTINGS, field, frame,
    },
    scripted_backend::{Script, ScriptedBackend},
    test_server::TestServer,
    wire::TIMEOUT,
};

/// The head of a chat without a key, with this content length.
fn chat(length: usize) -> Vec<u8> {
    [
        vec![0x83, 0x86],
        field(4, "/v1/chat/completions"),
        field(1, "a"),
        field(31, "application/json"),
        field(28, &length.to_string()),
    ]
    .concat()
}

/// A connection with a chat whose body has not been sent.
struct PendingRequest {
    stream: TcpStream,
    received: Vec<u8>,
}

impl PendingRequest {
    async fn new(server: &TestServer, length: usize) -> Self {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = frame(HEADERS, END_HEADERS, 1, &chat(length));
        let begin = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &head].concat();
        stream.write_all(&begin).await.unwrap();
        Self {
            stream,
            received: Vec::new(),
        }
    }

    /// The types and flags of the stream's frames received so far.
    fn frames(&self) -> Vec<(u8, u8)> {
        let (mut frames, mut rest) = (Vec::new(), &self.received[..]);
        while let [a, b, c, kind, flags, _, _, _, stream, payload @ ..] = rest {
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            let Some(next) = payload.get(length..) else {
                break;
            };
            if *stream == 1 {
                frames.push((*kind, *flags));
            }
            rest = next;
        }
        frames
    }

    /// Reads until one of the stream's frames matches.
    async fn wait_until(&mut self, is_it: impl Fn(&(u8, u8)) -> bool) {
        let reading = async {
            while !self.frames().iter().any(&is_it) {
                assert_ne!(self.stream.read_buf(&mut self.received).await.unwrap(), 0);
            }
        };
        time::timeout(TIMEOUT, reading)
            .await
            .expect("the frame arrives");
    }
}

fn ends(frame: &(u8, u8)) -> bool {
    matches!(frame.0, DATA | HEADERS) && frame.1 & END_STREAM > 0
}

// FH03
#[tokio::test]
async fn drains_a_small_body_before_the_stream_of_a_refusal_ends() {
    let server = TestServer::with(Arc::new(ScriptedBackend::new(Script::Talk)), "").await;
    let mut pending = PendingRequest::new(&server, 75).await;
    // The refusal is complete before the body is sent.
    pending.wait_until(|frame| frame.0 == DATA).await;
    assert!(!pending.frames().iter().any(ends), "{:?}", pending.frames());
    let body = frame(DATA, END_STREAM, 1, &[b' '; 75]);
    pending.stream.write_all(&body).await.unwrap();
    pending.wait_until(ends).await;
    // All earlier frames have arrived when the ping is acknowledged.
    let ping = frame(crate::http2_floods::PING, 0, 0, &[0; 8]);
    pending.stream.write_all(&ping).await.unwrap();
    while !pending
        .received
        .windows(2)
        .any(|bytes| bytes == [crate::http2_floods::PING, 1])
    {
        assert_ne!(
            pending
                .stream
                .read_buf(&mut pending.received)
                .await
                .unwrap(),
            0
        );
    }
    let resets = pending
        .frames()
        .iter()
        .filter(|frame| frame.0 == RST_STREAM)
        .count();
    assert_eq!(resets, 0, "{:?}", pending.frames());
}

// FH03, S07
#[tokio::test]
async fn does_not_wait_for_a_large_or_missing_body() {
    let server = TestServer::with(Arc::new(ScriptedBackend::new(Script::Talk)), "").await;
    // Declared as too large: reset at once.
    let mut large = PendingRequest::new(&server, 100 << 20).await;
    let at_once = large.wait_until(|frame| frame.0 == RST_STREAM);
    time::timeout(Duration::from_millis(900), at_once)
        .await
        .expect("at once");
    assert!(large.frames().iter().any(ends));
    // Declared as small, but never sent: reset after the timeout.
    let mut silent = PendingRequest::new(&server, 75).await;
    silent.wait_until(|frame| frame.0 == RST_STREAM).await;
    assert!(silent.frames().iter().any(ends));
}

// FH03
#[tokio::test]
async fn curl_receives_every_refusal_of_a_post() {
    let server = TestServer::with(Arc::new(ScriptedBackend::new(Script::Talk)), "").await;
    let url = format!("http://{}/v1/chat/completions", server.address);
    let curl = move || {
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "--noproxy",
            "*",
            "--http2-prior-knowledge",
            "-w",
            "%{http_code}\n",
        ]);
        // A new connection each time: only then does curl send the body late.
        curl.args([
            "-o",
            "/dev/null",
            "-d",
            "{\"model\": \"tiny\", \"messages\": []}",
        ]);
        curl.args(["-H", "content-type: application/json", &url]);
        let output = curl
            .output()
            .expect("curl is installed: apt-get install curl");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{error}");
        String::from_utf8(output.stdout).unwrap()
    };
    for _ in 0..60 {
        let curl = curl.clone();
        let status = tokio::task::spawn_blocking(curl).await.unwrap();
        assert_eq!(status, "401\n");
    }
}
