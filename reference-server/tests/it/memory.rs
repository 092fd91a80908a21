//! The server's memory under many or large bodies.

use std::{collections::BTreeMap, sync::Arc};

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::Barrier, task::JoinSet};

use crate::{
    server_process::ServerProcess,
    test_server::{FULL_KEY, READER_KEY, chat_body, png_of},
    wire::{Received, read_to_end},
};

const MEBIBYTE: usize = 1 << 20;
/// The memory that a process may use in addition to bodies.
const OVERHEAD: usize = 16 * MEBIBYTE;
/// mimalloc returns freed memory after a second, and uses huge pages. With these variables, the peak
/// shows what the server holds.
const RETURN_MEMORY: &str = "export MIMALLOC_PURGE_DELAY=0 MIMALLOC_ALLOW_THP=0";

/// A JSON array with `count` copies of an element.
fn list(of: &str, count: usize) -> String {
    let mut list = format!("{of},").repeat(count);
    list.pop();
    format!("[{list}]")
}

async fn code(request: RequestBuilder) -> (u16, String) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (status, body["error"]["code"].as_str().unwrap().to_owned())
}

/// Checks that a small chat passes the fence: without a model it fails with `MODEL_FAILED`.
async fn accepts_a_small_chat(server: &ServerProcess) {
    let small = chat_body(json!("hello"), json!({})).to_string();
    assert_eq!(
        code(server.chat(small)).await,
        (503, "MODEL_FAILED".to_owned())
    );
}

// B10
#[tokio::test]
async fn refuses_long_lists_without_using_more_memory_than_the_body() {
    let lines = "[server]\nmax_body_mb = 64\n[body]\nmax_mb = 64\n";
    let server = ServerProcess::start_after(RETURN_MEMORY, lines);
    server.wait_for_log("not available");
    accepts_a_small_chat(&server).await;

    let messages = |messages: &str| format!(r#"{{"model":"tiny","messages":{messages}}}"#);
    let parts = |parts: &str| messages(&format!(r#"[{{"role":"user","content":{parts}}}]"#));
    let message = r#"{"role":"user","content":"a"}"#;
    let text = r#"{"type":"text","text":"a"}"#;
    let url = format!("data:image/png;base64,{}", png_of(1, [0; 3]));
    let pixel = json!({"type": "image_url", "image_url": {"url": url}}).to_string();
    let before = server.peak_memory();
    let mut largest = 0;
    for (what, body, expected) in [
        (
            "messages",
            messages(&list(message, 1_000_000)),
            "TOO_MANY_ITEMS",
        ),
        (
            "empty lists",
            messages(&list("[]", 10_000_000)),
            "TOO_MANY_ITEMS",
        ),
        ("parts", parts(&list(text, 100_000)), "TOO_MANY_ITEMS"),
        ("images", parts(&list(&pixel, 10_000)), "TOO_MANY_IMAGES"),
    ] {
        largest = largest.max(body.len());
        let refused = code(server.chat(body)).await;
        assert_eq!(refused, (400, expected.to_owned()), "{what}");
    }
    let grown = server.peak_memory() - before;
    assert!(grown <= largest + OVERHEAD, "{grown} bytes more");
    accepts_a_small_chat(&server).await;
}

/// Sends a request except for its last byte, which follows when all clients have done so and the
/// server has been checked.
async fn all_but_one(stream: TcpStream, request: &str, stage: &Barrier) -> Received {
    let (mut incoming, mut outgoing) = stream.into_split();
    let sending = async {
        let (last, most) = request.as_bytes().split_last().unwrap();
        // Fails if the server has already refused the request.
        let _ = outgoing.write_all(most).await;
        stage.wait().await;
        stage.wait().await;
        let _ = outgoing.write_all(&[*last]).await;
    };
    tokio::join!(sending, read_to_end(&mut incoming)).1
}

/// The status and the code of the only response.
fn outcome(received: &Received) -> (u16, String) {
    let status = match received.statuses()[..] {
        [status] => status,
        _ => 0,
    };
    let mut code = received.text.split("\"code\":\"").skip(1);
    let code = code.next().and_then(|rest| rest.split('"').next());
    (status, code.unwrap_or(&received.text).to_owned())
}

// B10
#[tokio::test]
async fn concurrent_bodies_share_bounded_memory() {
    const CLIENTS: usize = 200;
    const BODY: usize = 4;
    const ALL: usize = 32;
    /// The read buffer of each connection.
    const AHEAD: usize = 64 << 10;

    let server = ServerProcess::start_after(
        RETURN_MEMORY,
        &format!(
            "[server]\nmax_body_mb = {BODY}\n[body]\nmax_mb = {BODY}\n\
             max_memory_mb = {ALL}\nmax_memory_per_key_mb = {more}\nprompt_chars = 100000000\n",
            more = 2 * ALL
        ),
    );
    server.wait_for_log("not available");
    accepts_a_small_chat(&server).await;

    let chat = chat_body(json!("hello"), json!({})).to_string();
    let room = BODY * MEBIBYTE - chat.len();
    let spaces = " ".repeat(room) + &chat;
    let prompt = chat.replace("hello", &format!("hello{}", "o".repeat(room)));
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {FULL_KEY}\r\n\
         content-type: application/json\r\nconnection: close\r\n"
    );
    let before = server.peak_memory();
    for body in [spaces, prompt] {
        let length = body.len();
        assert_eq!(length, BODY * MEBIBYTE);
        let announced = format!("{head}content-length: {length}\r\n\r\n{body}");
        let chunked =
            format!("{head}transfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n");
        for request in [announced, chunked] {
            let request: Arc<str> = request.into();
            let stage = Arc::new(Barrier::new(CLIENTS + 1));
            let mut clients = JoinSet::new();
            for _ in 0..CLIENTS {
                let (request, stage) = (Arc::clone(&request), Arc::clone(&stage));
                let stream = TcpStream::connect(server.address).await.unwrap();
                clients.spawn(async move { all_but_one(stream, &request, &stage).await });
            }
            stage.wait().await;
            // The memory is exhausted; requests without a body are still served.
            let models = server.get("/v1/models", READER_KEY).send().await.unwrap();
            assert_eq!(models.status(), 200);
            stage.wait().await;

            let mut outcomes = BTreeMap::<_, usize>::new();
            for received in clients.join_all().await {
                assert!(received.closed);
                *outcomes.entry(outcome(&received)).or_default() += 1;
            }
            // Later clients may find memory that earlier ones have released, so more may succeed
            // than fit at the same time.
            let [taken, refused] = ["MODEL_FAILED", "UNAVAILABLE"]
                .map(|code| outcomes.remove(&(503, code.to_owned())).unwrap_or(0));
            assert!(taken > 0 && refused > 0, "{taken} and {refused}");
            assert_eq!(outcomes, BTreeMap::new());
            accepts_a_small_chat(&server).await;
        }
    }
    // A prompt is held twice, as bytes and as text, and as much again may be copies of blocks that
    // grew, and freed blocks.
    let most = 4 * ALL * MEBIBYTE + CLIENTS * AHEAD + OVERHEAD;
    let grown = server.peak_memory() - before;
    assert!(grown <= most, "{grown} bytes more");
}
