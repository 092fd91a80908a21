//! Audit records of requests, for each way they can end.

use std::{fs, sync::Arc};

use futures_util::StreamExt;
use serde_json::{Value, json};
use stockade_server::backend::BackendError;
use stockade_testkit::poll::until_async;

use crate::{
    scripted_backend::{Script, ScriptedBackend},
    test_server::{FULL_KEY, READER_KEY, TestServer, chat_body, png},
};

const FILES: &str =
    "[audit]\nfile = \"app.log\"\nsecurity_file = \"audit.log\"\non_overflow = \"drop\"\n";
const PROMPT: &str = "a-confidential-prompt";
const GUESS: &str = "sk_secret_guess_0123456789abcdef";

/// The complete records of requests in a file.
pub(crate) fn requests(server: &TestServer, file: &str) -> Vec<Value> {
    let text = fs::read_to_string(server.file(file)).unwrap_or_default();
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|record| record["method"].is_string())
        .collect()
}

/// The record of the only request to this server.
async fn record(server: &TestServer) -> Value {
    until_async("a record", async || !requests(server, "app.log").is_empty()).await;
    // Records are written in the order in which requests end, so a second request flushes the
    // first.
    assert_eq!(server.get("/v1/models/none").await.status(), 404);
    until_async("the last record", async || {
        let all = requests(server, "app.log");
        all.iter()
            .any(|record| record["route"] == "/v1/models/{*id}")
    })
    .await;
    let all = requests(server, "app.log");
    let [first, _last] = &all[..] else {
        panic!("{all:#?}");
    };
    for file in ["app.log", "audit.log"] {
        let text = fs::read_to_string(server.file(file)).unwrap();
        for secret in [PROMPT, GUESS, FULL_KEY, READER_KEY, &png([9, 9, 9])[..32]] {
            assert!(!text.contains(secret), "{secret} is in {file}");
        }
    }
    first.clone()
}

fn private(fields: Value) -> Value {
    let image = json!({"type": "image", "image": {"b64": png([9, 9, 9])}});
    let text = json!({"type": "text", "text": PROMPT});
    chat_body(json!([text, image]), fields)
}

// L05, H05
#[tokio::test]
async fn each_outcome_of_a_chat_has_one_record() {
    let second = format!("{FILES}[server]\nrequest_timeout_secs = 1\n");
    let stream = json!({"stream": true});
    for (script, lines, fields, status, outcome, code) in [
        (
            Script::Talk,
            FILES,
            json!({}),
            200,
            "completed",
            Value::Null,
        ),
        (
            Script::Talk,
            FILES,
            stream.clone(),
            200,
            "completed",
            Value::Null,
        ),
        (
            Script::Panic,
            FILES,
            json!({}),
            500,
            "completed",
            json!("INTERNAL_ERROR"),
        ),
        (
            Script::Refuse(BackendError::Engine),
            FILES,
            json!({}),
            500,
            "completed",
            json!("ENGINE_FAILED"),
        ),
        (
            Script::Break(BackendError::Engine),
            FILES,
            stream.clone(),
            200,
            "failed",
            json!("ENGINE_FAILED"),
        ),
        (
            Script::Stall,
            &second,
            stream.clone(),
            200,
            "failed",
            json!("MODEL_TIMEOUT"),
        ),
        (
            Script::Hang,
            &second,
            json!({}),
            504,
            "completed",
            json!("MODEL_TIMEOUT"),
        ),
        (
            Script::Talk,
            FILES,
            json!({"model": "other"}),
            404,
            "completed",
            json!("MODEL_NOT_FOUND"),
        ),
        (
            Script::Talk,
            FILES,
            json!({"temperature": 9}),
            400,
            "completed",
            json!("VALUE_OUT_OF_RANGE"),
        ),
    ] {
        let server = TestServer::with(Arc::new(ScriptedBackend::new(script)), lines).await;
        let answer = server.chat(&private(fields.clone())).await;
        assert_eq!(answer.status(), status, "{fields}");
        answer.bytes().await.unwrap();
        let record = record(&server).await;
        assert_eq!(record["status"], status, "{record}");
        assert_eq!(record["outcome"], outcome, "{record}");
        assert_eq!(record["code"], code, "{record}");
        assert_eq!(record["user"], "full", "{record}");
        if (status, outcome) == (200, "completed") {
            assert_eq!(record["prompt_tokens"], 1, "{record}");
            assert_eq!(record["completion_tokens"], 8, "{record}");
        }
    }
}

// L05
#[tokio::test]
async fn an_unauthenticated_refusal_has_one_record_in_each_file() {
    let server = TestServer::with(Arc::new(ScriptedBackend::new(Script::Hang)), FILES).await;
    let request = server.request(reqwest::Method::POST, "/v1/chat/completions");
    let request = request.bearer_auth(GUESS).json(&private(json!({})));
    assert_eq!(request.send().await.unwrap().status(), 401);
    let record = record(&server).await;
    assert_eq!(record["status"], 401, "{record}");
    assert_eq!(record["outcome"], "completed", "{record}");
    assert_eq!(record["user"], Value::Null, "{record}");
    let security = requests(&server, "audit.log");
    let of = security.iter().filter(|one| one["status"] == 401).count();
    assert_eq!(of, 1, "{security:#?}");
}

// L05, R10
#[tokio::test]
async fn a_disconnect_has_one_record_with_the_usage() {
    let backend = ScriptedBackend::new(Script::Stall);
    let server = TestServer::with(Arc::new(backend), FILES).await;
    let answer = server.chat(&private(json!({"stream": true}))).await;
    let mut pieces = answer.bytes_stream();
    let mut text = String::new();
    while !text.contains("\"some\"") {
        text += &String::from_utf8_lossy(&pieces.next().await.unwrap().unwrap());
    }
    drop(pieces);
    let record = record(&server).await;
    assert_eq!(record["outcome"], "client_left", "{record}");
    assert_eq!(record["status"], 200, "{record}");
    assert_eq!(record["completion_tokens"], 1, "{record}");
}
