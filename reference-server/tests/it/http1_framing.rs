//! Malformed HTTP/1.1 requests.
//!
//! Each request is followed by another one, as in request smuggling. If the end of a message is
//! ambiguous, the server must refuse it and close the connection, and never answer the second
//! request.

use std::sync::Arc;

use crate::{
    scripted_backend::{Script, ScriptedBackend},
    test_server::{FULL_KEY, TestServer},
    wire::send_raw,
};

/// The request that must not be answered.
const SMUGGLED: &str = "GET /health HTTP/1.1\r\nhost: a\r\n\r\n";

async fn server() -> TestServer {
    let lines = "[server]\nheader_timeout_secs = 1\nbody_timeout_secs = 1\n";
    TestServer::with(Arc::new(ScriptedBackend::new(Script::Talk)), lines).await
}

/// A request with this request line.
fn line(line: &str) -> String {
    format!("{line}\r\nhost: a\r\n\r\n")
}

/// A request with these additional header fields.
fn fields(fields: &str) -> String {
    format!("GET /health HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n")
}

/// An authorized chat with this framing.
fn chat(framing: &str, body: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {FULL_KEY}\r\n\
         content-type: application/json\r\n{framing}\r\n\r\n{body}"
    )
}

fn chunked(body: &str) -> String {
    chat("transfer-encoding: chunked", body)
}

/// Checks that each request gets one refusal, which closes the connection, and that the server
/// continues to serve.
async fn refused(requests: impl IntoIterator<Item = String>, expected: &[u16]) {
    let server = server().await;
    for request in requests {
        let received = send_raw(server.address, (request.clone() + SMUGGLED).as_bytes()).await;
        let shown = request.escape_debug().take(300).collect::<String>();
        let [status] = received.statuses()[..] else {
            panic!("{shown}\n{}", received.text);
        };
        assert!(expected.contains(&status), "{shown}\n{}", received.text);
        assert!(received.closed, "{shown}\n{}", received.text);
    }
    let good = send_raw(server.address, (SMUGGLED.to_owned() + SMUGGLED).as_bytes()).await;
    assert_eq!(good.statuses(), [200, 200], "pipelined requests");
}

// B01
#[tokio::test]
async fn malformed_request_lines_close_the_connection() {
    let lines = [
        "GET  /health HTTP/1.1",
        "GET /health",
        "GET /health HTTP/1.1 ",
        "GET /health HTTP/2.0",
        "GET /health HTTP/9.9",
        "GET /health http/1.1",
        "GET\t/health HTTP/1.1",
        " GET /health HTTP/1.1",
        "G(T /health HTTP/1.1",
        "GET /hea lth HTTP/1.1",
        "GET /hea\u{1}lth HTTP/1.1",
        "GET http:// HTTP/1.1",
    ];
    refused(lines.map(line), &[400]).await;
}

// B01
#[tokio::test]
async fn malformed_header_fields_close_the_connection() {
    let bad = [
        "na me: x",
        "name : x",
        ": x",
        "n\0: x",
        "n(: x",
        "n\u{e9}: x",
        "noname",
        "x: a\rb",
        "x: a\0b",
        "x: a\u{7f}b",
        // Obsolete line folding.
        "x: a\r\n b",
        "x: a\r\n\tb",
        "content-length : 0",
        "transfer-encoding : chunked",
    ];
    let first = "GET /health HTTP/1.1\r\n host: a\r\n\r\n".to_owned();
    let no_line_feeds = "GET /health HTTP/1.1\rhost: a\r\r".to_owned();
    let all = bad.map(fields).into_iter().chain([first, no_line_feeds]);
    refused(all, &[400]).await;
}

// FH05
#[tokio::test]
async fn invalid_hosts_close_the_connection() {
    let with = |hosts: &str| format!("GET /health HTTP/1.1\r\n{hosts}x: y\r\n\r\n");
    let hosts = [
        "",
        "host: a\r\nhost: b\r\n",
        "host: a\r\nHost: a\r\n",
        "host: a/b\r\n",
        "host: u@a\r\n",
        "host: a, b\r\n",
        "host: a,b\r\n",
        "host:\r\n",
        "host: a:b\r\n",
        "host: a b\r\n",
    ];
    refused(hosts.map(with), &[400]).await;
    // The target does not replace the header field.
    let absolute = "GET http://a/health HTTP/1.1\r\nx: y\r\n\r\n".to_owned();
    refused([absolute], &[400]).await;
    let server = server().await;
    let old = send_raw(server.address, b"GET /health HTTP/1.0\r\n\r\n").await;
    assert!(old.text.starts_with("HTTP/1.0 200"), "{}", old.text);
}

// FH05
#[tokio::test]
async fn serves_only_listed_hosts() {
    let lines = "[server]\nhosts = [\"api.example\"]\nheader_timeout_secs = 1\n";
    let server = TestServer::with(Arc::new(ScriptedBackend::new(Script::Talk)), lines).await;
    for (path, host, status) in [
        ("/v1/models", "API.example:443", 200),
        ("/v1/models", "evil.example", 400),
        ("/health/ready", "10.0.0.7", 200),
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {FULL_KEY}\r\n\r\n"
        );
        let received = send_raw(server.address, request.as_bytes()).await;
        assert_eq!(received.statuses(), [status], "{}", received.text);
        let is_json = received.text.contains("\"code\":\"HOST_NOT_SERVED\"");
        assert_eq!(is_json, status == 400, "{}", received.text);
    }
}

// FA15
#[tokio::test]
async fn upgrade_requests_close_the_connection() {
    let server = server().await;
    for (request, status) in [
        ("CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n", 400),
        (
            "GET /health HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
            200,
        ),
        (
            "GET /health HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\n\
             upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n",
            200,
        ),
    ] {
        let received = send_raw(server.address, (request.to_owned() + SMUGGLED).as_bytes()).await;
        assert_eq!(received.statuses(), [status], "{request}{}", received.text);
        assert!(received.closed, "{request}");
        assert!(
            received.text.contains("connection: close"),
            "{}",
            received.text
        );
    }
}

// B01, A15
#[tokio::test]
async fn refuses_oversized_heads() {
    let long = "n".repeat(70_000);
    let requests = [
        line(&format!("GET /{long} HTTP/1.1")),
        fields(&format!("{long}: a")),
        fields(&format!("n: {long}")),
        fields(&vec!["n: a"; 101].join("\r\n")),
    ];
    refused(requests, &[431]).await;
}

// B02
#[tokio::test]
async fn malformed_lengths_close_the_connection() {
    let lengths = [
        "5,5",
        "5, 6",
        "+5",
        "-1",
        "0x5",
        "5 5",
        "5a",
        "1_0",
        "",
        "\u{b}5",
        "18446744073709551616",
        "18446744073709551621",
    ];
    let twice = "content-length: 5\r\ncontent-length: 6".to_owned();
    let framings = lengths.map(|length| format!("content-length: {length}"));
    let framings = framings.into_iter().chain([twice]);
    refused(framings.map(|framing| chat(&framing, "hello")), &[400]).await;
    // Valid numbers, but larger than any body.
    let most = chat("content-length: 18446744073709551615", "hello");
    let large = chat("content-length: 9223372036854775807", "hello");
    refused([most, large], &[413, 431]).await;
}

// B02
#[tokio::test]
async fn ambiguous_framing_closes_the_connection() {
    let framings = [
        "transfer-encoding: chunked\r\ncontent-length: 5",
        "content-length: 5\r\ntransfer-encoding: chunked",
        "content-length: 18\r\ntransfer-encoding: chunked, identity",
        "transfer-encoding: xchunked",
        "transfer-encoding: identity",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "transfer-encoding: \"chunked\"",
        "transfer-encoding: chunked;q=1",
        "transfer-encoding: \u{b}chunked",
        "transfer-encoding:",
        "transfer-encoding:\r\n chunked",
    ];
    let body = "5\r\nhello\r\n0\r\n\r\n";
    let old = chunked(body).replacen("HTTP/1.1", "HTTP/1.0", 1);
    let requests = framings.map(|framing| chat(framing, body));
    refused(requests.into_iter().chain([old]), &[400]).await;
}

// B02
#[tokio::test]
async fn malformed_chunks_close_the_connection() {
    let bodies = [
        "FFFFFFFFFFFFFFFFF\r\nhello",
        "10000000000000000\r\nhello",
        "-1\r\nhello",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "g\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        // Bare line feeds and carriage returns.
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5;a=\nb\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\n",
        "0;\rGET\r\n\r\n",
        // Shorter and longer than declared.
        "5\r\nhello0\r\n\r\n",
        "5\r\nhellohello\r\n0\r\n\r\n",
        // Extensions and trailers.
        "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nx\r\n\r\n",
        "5\r\nhello\r\n0\r\nna me: x\r\n\r\n",
    ];
    let extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(100_000));
    let trailers = format!("5\r\nhello\r\n0\r\n{}\r\n", "a: b\r\n".repeat(20_000));
    let long = [extension, trailers].map(|body| chunked(&body));
    refused(bodies.map(chunked).into_iter().chain(long), &[400]).await;
}

// B02, B03
#[tokio::test]
async fn endless_bodies_time_out() {
    let requests = [
        chat("content-length: 100", "hello"),
        chunked("FFFF\r\nhello"),
    ];
    refused(requests, &[408]).await;
}

// B02
#[tokio::test]
async fn garbage_after_a_body_closes_the_connection() {
    let server = server().await;
    // Refused as a chat, but its end is unambiguous.
    for (first, expected) in [
        (chat("content-length: 2", "{}garbage\r\n\r\n"), [400, 400]),
        (chunked("2\r\n{}\r\n0\r\n\r\n\0\r\n\r\n"), [400, 400]),
        (
            chat("content-length: 2\r\ncontent-length: 2", "{}"),
            [400, 200],
        ),
        (
            chunked("2;x\r\n{}\r\n0\r\ncontent-length: 5\r\n\r\n"),
            [400, 200],
        ),
    ] {
        let received = send_raw(server.address, (first.clone() + SMUGGLED).as_bytes()).await;
        assert_eq!(
            received.statuses(),
            expected,
            "{first:?}\n{}",
            received.text
        );
        assert!(received.closed);
    }
}
