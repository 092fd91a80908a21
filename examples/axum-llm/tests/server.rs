//! Runs the example with its configuration and real clients.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod process;

use std::{fs, path::Path, process::Command};

use reqwest::StatusCode;
use serde_json::{Value, json};

use process::Server;
use stockade_testkit::poll::until_async;

fn messages(text: &str) -> Value {
    json!({"model": "parrot", "messages": [{"role": "user", "content": text}]})
}

fn streamed(text: &str) -> Value {
    let mut chat = messages(text);
    chat["stream"] = true.into();
    chat
}

/// A chat whose response takes a minute.
fn long() -> Value {
    let mut chat = streamed(&"la ".repeat(3_000));
    chat["max_tokens"] = 3_000.into();
    chat
}

#[tokio::test]
async fn the_printed_commands_work() {
    let server = Server::start(&[]);
    assert!(server.greeting.contains("limit by ip   600/minute\n"));
    let (_, lines) = server.greeting.split_once("(shown only now):\n\n").unwrap();
    let (pasted, _) = lines.split_once("\n\n").unwrap();
    let shell = Command::new("bash").args(["-c", pasted]).output().unwrap();
    let out = String::from_utf8(shell.stdout).unwrap();
    assert!(out.contains("\"content\":\"Polly \""), "{out}");
    assert!(out.contains("data: [DONE]\n"), "{out}");
    assert!(
        out.contains("stockade_auth_allowed_total{reason=\"credential\"} 1"),
        "{out}"
    );
    assert!(out.contains("AUTHENTICATION_FAILED"), "{out}");
}

#[tokio::test]
async fn the_first_key_is_made_once() {
    let server = Server::start(&[]);
    let keys = fs::read_to_string(server.file("keys.yaml")).unwrap();
    assert!(keys.contains("first") && !keys.contains(&server.key));
    let (folder, status) = server.stop();
    assert!(status.success());
    let again = Server::start_in(folder, &[]);
    assert!(!again.greeting.contains("KEY="), "{}", again.greeting);
    assert_eq!(fs::read_to_string(again.file("keys.yaml")).unwrap(), keys);
}

#[tokio::test]
async fn without_a_folder_leaves_no_files() {
    let server = Server::start_without_dir();
    let files = server.greeting.lines().find_map(|line| {
        line.strip_prefix("files: ")?
            .strip_suffix(" (removed on exit)")
    });
    let config = Path::new(files.unwrap()).join("stockade.toml");
    assert!(config.exists());
    assert_eq!(
        server.chat(messages("hello")).await.status(),
        StatusCode::OK
    );
    let (_, status) = server.stop();
    assert!(status.success());
    assert!(!config.exists());
}

#[test]
fn an_invalid_configuration_is_an_error_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("stockade.toml"),
        "[auth]\nkey_file = \"k\"\n",
    )
    .unwrap();
    let output = process::command(folder.path(), &["--dir", "."])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    let expected = "error: ./stockade.toml:2: unknown field `key_file`";
    assert!(error.starts_with(expected), "{error}");
    assert!(
        error.contains("\n  help: did you mean `keys_file`?"),
        "{error}"
    );
}

#[tokio::test]
async fn a_response_has_the_usage_and_the_request_id() {
    let server = Server::start(&[]);
    let answer = server.chat(messages("one two three")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let request_id = answer.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "one two three");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["usage"]["total_tokens"], 6);
    assert_eq!(body["id"], format!("chatcmpl-{request_id}"));

    let mut short = messages("one two three");
    short["max_tokens"] = 2.into();
    let body: Value = server.chat(short).await.json().await.unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "one two");
    assert_eq!(body["choices"][0]["finish_reason"], "length");
}

#[tokio::test]
async fn the_handler_receives_validated_images() {
    let server = Server::start(&[]);
    let valid = process::image_url(48, 32);
    let chat = |url: &str| {
        let image = json!({"type": "image_url", "image_url": {"url": url}});
        let text = json!({"type": "text", "text": "look"});
        json!({"model": "parrot", "messages": [{"role": "user", "content": [text, image]}]})
    };
    let answer = server.chat(chat(&valid)).await;
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "[48 × 32] look");
    // I01
    let answer = server.chat(chat("file:///etc/passwd")).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn refused_requests_never_reach_the_model() {
    let server = Server::start(&[("STOCKADE_RATE_LIMIT__BY_KEY", "5/minute burst 3")]);
    let mut other = messages("hello");
    other["model"] = "gpt-4o".into();
    for (key, body, status, code) in [
        ("wrong", messages("hello"), 401, "AUTHENTICATION_FAILED"),
        (&*server.key, other, 403, "MODEL_NOT_ALLOWED"),
        (
            &*server.key,
            messages(&"x".repeat(10_001)),
            400,
            "PROMPT_TOO_LONG",
        ),
        (
            &*server.key,
            json!({"model": "parrot"}),
            400,
            "VALIDATION_ERROR",
        ),
        (&*server.key, messages("hello"), 429, "RATE_LIMITED"),
    ] {
        let answer = server.chat_as(key, body).await;
        let found = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(
            (found, &body["error"]["code"]),
            (status, &code.into()),
            "{body}"
        );
    }
}

// R10
#[tokio::test]
async fn a_disconnected_client_stops_the_model_and_is_charged_for_the_usage() {
    let server = Server::start(&[
        ("STOCKADE_CONCURRENCY__PER_KEY", "1"),
        ("STOCKADE_RATE_LIMIT__BY_IP", "1000000/second"),
        ("STOCKADE_RATE_LIMIT__BY_KEY", "1000000/second"),
    ]);
    let mut stream = server.chat(long()).await;
    stream.chunk().await.unwrap().unwrap();
    let busy = server.chat(messages("hello")).await;
    assert_eq!(busy.status(), StatusCode::TOO_MANY_REQUESTS);

    drop(stream);
    until_async("the permit is released", async || {
        server.chat(messages("hello")).await.status() == StatusCode::OK
    })
    .await;
    until_async("the model has stopped", async || {
        server.log().contains("client disconnected, model stopped")
    })
    .await;
    let (folder, status) = server.stop();
    assert!(status.success());
    let records = process::records(&folder);
    let left = records
        .iter()
        .find(|record| record["outcome"] == "client_left");
    let left = left.expect("a record");
    assert_eq!(
        (&left["user"], &left["model"]),
        (&"first".into(), &"parrot".into())
    );
    assert_eq!(left["prompt_tokens"], 3_000);
    let made = left["completion_tokens"].as_u64().unwrap();
    assert!((1..3_000).contains(&made), "{made}");
}

#[tokio::test]
async fn sighup_reloads_the_configuration_and_reopens_the_audit_log() {
    let server = Server::start(&[]);
    server.chat(messages("before")).await;
    until_async("the record is written", async || {
        fs::read_to_string(server.file("app.log")).is_ok_and(|log| log.contains("/v1/chat"))
    })
    .await;
    fs::rename(server.file("app.log"), server.file("app.log.1")).unwrap();
    let config = fs::read_to_string(server.file("stockade.toml")).unwrap();
    let strict = config.replace(
        "\"60/minute burst 10\", \"10000/day\"",
        "\"1/minute\", \"1/day\"",
    );
    assert_ne!(config, strict);
    fs::write(server.file("stockade.toml"), strict).unwrap();
    server.signal("HUP");
    until_async("the new limit applies", async || {
        server.chat(messages("after")).await.status() == StatusCode::TOO_MANY_REQUESTS
    })
    .await;
    until_async("there is a new file", async || {
        server.file("app.log").exists()
    })
    .await;

    // An invalid file changes nothing.
    fs::write(server.file("stockade.toml"), "[rate_limit]\nby_kye = []\n").unwrap();
    server.signal("HUP");
    until_async("the error is logged", async || {
        server.log().contains("did you mean `by_key`?")
    })
    .await;
    let still = server.chat(messages("after")).await;
    assert_eq!(still.status(), StatusCode::TOO_MANY_REQUESTS);
}

// H01
#[tokio::test]
async fn sigterm_waits_for_responses_and_writes_the_last_record() {
    let server = Server::start(&[]);
    let mut stream = server.chat(streamed(&"la ".repeat(50))).await;
    let mut text = stream.chunk().await.unwrap().unwrap().to_vec();
    server.signal("TERM");
    until_async("new connections are refused", async || {
        server.try_health().await.is_err()
    })
    .await;
    while let Some(chunk) = stream.chunk().await.unwrap() {
        text.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.matches("\"content\":\"la \"").count(), 50);
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    let (folder, status) = server.wait();
    assert!(status.success());
    let records = process::records(&folder);
    let last = records.last().unwrap();
    assert_eq!(last["outcome"], "completed", "{last}");
    assert_eq!(last["completion_tokens"], 50, "{last}");
}
