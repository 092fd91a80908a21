//! The server never accesses the URL of an image.

use std::{io::ErrorKind, net::TcpListener, process::Command};

use serde_json::{Value, json};
use tokio::net::unix::pipe;

use crate::test_server::{TestServer, chat_body, png};

/// The error for an image part.
async fn refusal(server: &TestServer, part: Value) -> Value {
    let response = server.chat(&chat_body(json!([part]), json!({}))).await;
    assert_eq!(response.status(), 400, "{part}");
    let body: Value = response.json().await.unwrap();
    body["error"].clone()
}

// I01
#[tokio::test]
async fn opens_no_connection_and_no_file() {
    let server = TestServer::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let host = listener.local_addr().unwrap();
    let fifo = server.file("picture.png");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let file = fifo.display();
    let picture = png([1, 2, 3]);

    let remote = [
        format!("http://{host}/a.png"),
        format!("HTTP://{host}/a.png"),
        format!("https://{host}/a.png"),
        format!("ftp://{host}/a.png"),
        format!(" http://{host}/a.png"),
        format!("//{host}/a.png"),
        format!("blob:http://{host}/a.png"),
        format!("http://{host}/a.png#data:image/png;base64,{picture}"),
        format!("file://{file}"),
        format!("file:{file}"),
        format!("FILE://localhost{file}"),
        file.to_string(),
        format!("/proc/self/root{file}"),
        "/no/such/file".to_owned(),
        "/dev/zero".to_owned(),
        "../../../../../../../../dev/zero".to_owned(),
        "mistralrs-upload:1".to_owned(),
        format!(" data:image/png;base64,{picture}"),
        format!("DATA:image/png;base64,{picture}"),
    ];
    let mut seen = Vec::new();
    for url in &remote {
        let error = refusal(
            &server,
            json!({"type": "image_url", "image_url": {"url": url}}),
        )
        .await;
        assert_eq!(error["code"], "REMOTE_IMAGE", "{url}: {error}");
        seen.push(error);
        let error = refusal(&server, json!({"type": "image", "image": {"b64": url}})).await;
        assert_eq!(error["code"], "INVALID_IMAGE", "{url}: {error}");
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");

    // Also if the URL is hidden in a data URL.
    for url in [
        format!("data:image/png;base64,http://{host}/a.png"),
        format!("data:text/plain,http://{host}/a.png"),
        format!("data:image/svg+xml,<image href='http://{host}/a.png'/>"),
        format!("data:image/png;base64,@{file}"),
    ] {
        refusal(
            &server,
            json!({"type": "image_url", "image_url": {"url": url}}),
        )
        .await;
    }

    let called = listener.accept().map(|_| ()).unwrap_err();
    assert_eq!(called.kind(), ErrorKind::WouldBlock, "the server connected");
    // Opening the FIFO for writing fails only if it has no reader.
    let opened = pipe::OpenOptions::new().open_sender(&fifo).unwrap_err();
    assert_eq!(
        opened.to_string(),
        no_reader(),
        "the server opened the FIFO"
    );
}

/// The error of opening a FIFO without a reader for writing (ENXIO, 6).
fn no_reader() -> String {
    std::io::Error::from_raw_os_error(6).to_string()
}
