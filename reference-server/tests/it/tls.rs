//! TLS: protocol versions, handshakes and certificate changes.

use std::{net::Ipv4Addr, process::Stdio};

use futures_util::StreamExt;
use reqwest::Version;
use serde_json::{Value, json};
use stockade_server::tiny_model;
use stockade_testkit::poll::until_async;
use tokio::{net::TcpStream, process::Command};

mod authority;
mod certificates;
mod client_certificates;
mod client_hello;
mod expiry;
mod stalled_handshakes;

use crate::{
    records::requests,
    server_process::ServerProcess,
    test_server::{FULL_KEY, TestServer, chat_body},
    wire::{read_to_end, send_raw},
};
use authority::Authority;

const RECORDS: &str = "[audit]\nfile = \"app.log\"\non_overflow = \"drop\"\n";

/// A server without a model, and a client that trusts it.
fn start(authority: &Authority, lines: &str) -> ServerProcess {
    let client = authority.client().build().unwrap();
    ServerProcess::start(&format!("{lines}{}", authority.lines())).with_client(client)
}

#[tokio::test]
async fn serves_chats_over_the_negotiated_protocol() {
    let authority = Authority::new();
    let server = TestServer::start_with(&format!("{RECORDS}{}", authority.lines())).await;
    let url = format!("https://{}/v1/chat/completions", server.address);
    let chat = chat_body(json!("hello"), json!({"stream": true}));
    for (client, version) in [
        (authority.client().http1_only(), Version::HTTP_11),
        (authority.client(), Version::HTTP_2),
    ] {
        let client = client.local_address(Some(Ipv4Addr::new(127, 0, 0, 2).into()));
        let request = client.build().unwrap().post(&url).bearer_auth(FULL_KEY);
        let answer = request.json(&chat).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
        let text = answer.text().await.unwrap();
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    }

    let records = || requests(&server, "app.log");
    until_async("a record of each", async || records().len() == 2).await;
    for record in records() {
        assert_eq!(record["method"], "POST", "{record}");
        assert_eq!(record["ip"], "127.0.0.2", "{record}");
        assert_eq!(record["outcome"], "completed", "{record}");
    }
}

#[tokio::test]
async fn serves_curl() {
    let authority = Authority::new();
    let server = TestServer::start_with(&authority.lines()).await;
    let curl = Command::new("curl")
        .args(["-sS", "--noproxy", "*", "--cacert"])
        .arg(authority.roots())
        .arg(format!("https://{}/v1/chat/completions", server.address))
        .args(["-H", &format!("Authorization: Bearer {FULL_KEY}")])
        .args(["-H", "Content-Type: application/json"])
        .args(["-d", &chat_body(json!("hello"), json!({})).to_string()])
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let error = String::from_utf8_lossy(&curl.stderr);
    assert!(curl.status.success(), "{error}");
    let answer: Value = serde_json::from_slice(&curl.stdout).unwrap();
    assert_eq!(answer["object"], "chat.completion", "{answer}");
}

#[tokio::test]
async fn closes_plain_http_connections_at_once() {
    let authority = Authority::new();
    // The timeout is too long to close the connection instead.
    let server = start(&authority, "[server]\nheader_timeout_secs = 3600\n");
    let received = send_raw(server.address, b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(received.closed);
    assert!(!received.text.contains("HTTP"), "{}", received.text);
    let health = server.get("/health", FULL_KEY).send().await.unwrap();
    assert_eq!(health.version(), Version::HTTP_2);
}

// H01
#[tokio::test]
async fn sigterm_completes_responses_and_does_not_wait_for_handshakes() {
    let authority = Authority::new();
    let lines = format!(
        "[server]\nheader_timeout_secs = 3600\n{}",
        authority.lines()
    );
    let mut server = ServerProcess::start_in("", &lines, |folder| {
        tiny_model::write(&folder.join("model"), 1).unwrap();
    })
    .with_client(authority.client().build().unwrap());
    server.wait_for_log("the model is ready");
    let chat = chat_body(json!("hello"), json!({"stream": true, "max_tokens": 200}));
    let answer = server.chat(chat.to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut pieces = answer.bytes_stream();
    let mut text = String::new();
    while !text.contains("\"content\"") {
        text += &String::from_utf8_lossy(&pieces.next().await.unwrap().unwrap());
    }
    let mut stalled = TcpStream::connect(server.address).await.unwrap();

    server.signal("TERM");
    server.wait_for_log("stopping");
    assert!(!text.contains("[DONE]"));
    assert!(read_to_end(&mut stalled).await.closed);
    while let Some(piece) = pieces.next().await {
        text += &String::from_utf8_lossy(&piece.unwrap());
    }
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(server.wait_for_log("stopped")["cut"], 0);
    assert_eq!(server.wait_for_exit(), Some(0));
}

// FH02
#[tokio::test]
async fn sends_hsts_unless_it_is_disabled() {
    for (lines, value) in [("", Some("max-age=31536000")), ("hsts_secs = 0\n", None)] {
        let authority = Authority::new();
        let client = authority.client().build().unwrap();
        let server = ServerProcess::start(&(authority.lines() + lines)).with_client(client);
        let answer = server.get("/health", FULL_KEY).send().await.unwrap();
        let sent = answer.headers().get("strict-transport-security");
        assert_eq!(sent.map(|sent| sent.to_str().unwrap()), value);
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
}
