//! The token charge of a chat for each way it can end; budget and audit record agree.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, future::join_all};
use reqwest::Method;
use serde_json::{Value, json};
use stockade_server::backend::BackendError;
use stockade_testkit::poll::until_async;
use tokio::time;

use crate::{
    records::requests,
    scripted_backend::{PROMPT_TOKENS, Script, ScriptedBackend},
    test_server::{FULL_KEY, TestServer, chat_body},
};

const PROMPT: u64 = PROMPT_TOKENS as u64;

/// A budget that does not refill during a test, and audit records.
const LINES: &str = "[token_budget]\nby_key = \"3000/day\"\n\
    [rate_limit]\nheaders = [\"openai\"]\n\
    [audit]\nfile = \"app.log\"\nsecurity_file = \"audit.log\"\non_overflow = \"drop\"\n";
const SECOND: &str = "[server]\nrequest_timeout_secs = 1\n";

/// The remaining budget, read from a refused chat for an unknown model.
async fn left(server: &TestServer) -> i64 {
    let answer = server.chat_with(json!({"model": "other"})).await;
    assert_eq!(answer.status(), 404);
    let left = answer.headers()["x-ratelimit-remaining-tokens"].to_str();
    left.unwrap().parse().unwrap()
}

/// The client's behaviour.
#[derive(Clone, Copy, Debug)]
enum Client {
    /// Reads the response to its end.
    Stays,
    /// Disconnects before the response head.
    LeavesBefore,
    /// Disconnects after part of the response.
    LeavesWithin,
}

impl Client {
    async fn ask(self, server: &TestServer, body: &Value) {
        match self {
            Self::Stays => {
                server.chat(body).await.bytes().await.unwrap();
            }
            Self::LeavesBefore => {
                let asked = time::timeout(Duration::from_millis(300), server.chat(body));
                assert!(asked.await.is_err(), "the server responded");
            }
            Self::LeavesWithin => {
                let mut pieces = server.chat(body).await.bytes_stream();
                let mut text = String::new();
                while !text.contains("\"content\":\"some\"") {
                    text += &String::from_utf8_lossy(&pieces.next().await.unwrap().unwrap());
                }
            }
        }
    }
}

/// The record of the chat, among those of the budget queries.
async fn record(server: &TestServer) -> Value {
    let find = || {
        let mut all = requests(server, "app.log").into_iter();
        all.find(|record| record["model"] == "tiny")
    };
    until_async("a record", async || find().is_some()).await;
    find().unwrap()
}

/// A script, the client and the fields of its chat, and the charged tokens.
type Case<'f> = (Script, Client, &'f Value, (u64, u64));

// FC01, FA13
#[tokio::test]
async fn charges_and_records_the_engines_work_for_every_outcome() {
    use Client::{LeavesBefore, LeavesWithin, Stays};
    let whole = json!({});
    let stream = json!({"stream": true});
    let cases = [
        // The generation has not started.
        (Script::Hang, LeavesBefore, &whole, (0, 0)),
        (Script::Hang, Stays, &whole, (0, 0)),
        // The client disconnects during the prefill or during the completion.
        (Script::Prefill, LeavesBefore, &whole, (PROMPT, 0)),
        (Script::Prefill, LeavesBefore, &stream, (PROMPT, 0)),
        (Script::Stall, LeavesBefore, &whole, (PROMPT, 1)),
        (Script::Stall, LeavesWithin, &stream, (PROMPT, 1)),
        // The deadline passes.
        (Script::Prefill, Stays, &whole, (PROMPT, 0)),
        (Script::Prefill, Stays, &stream, (PROMPT, 0)),
        (Script::Stall, Stays, &whole, (PROMPT, 1)),
        (Script::Stall, Stays, &stream, (PROMPT, 1)),
        // The engine fails: only delivered tokens are charged.
        (Script::Break(BackendError::Engine), Stays, &whole, (0, 0)),
        (
            Script::Break(BackendError::Engine),
            Stays,
            &stream,
            (PROMPT, 1),
        ),
        (Script::Refuse(BackendError::Engine), Stays, &whole, (0, 0)),
        (Script::Panic, Stays, &whole, (0, 0)),
        // Success.
        (Script::Talk, Stays, &whole, (1, 8)),
        (Script::Talk, Stays, &stream, (1, 8)),
    ];
    let end = async |(script, client, fields, (prompt, completion)): Case<'_>| {
        let backend = Arc::new(ScriptedBackend::new(script));
        let server = TestServer::with(backend, &format!("{LINES}{SECOND}")).await;
        let before = left(&server).await;
        client
            .ask(&server, &chat_body(json!("hello"), fields.clone()))
            .await;
        let record = record(&server).await;
        let case = format!("{client:?} {fields}: {record}");
        assert_eq!(record["prompt_tokens"], prompt, "{case}");
        assert_eq!(record["completion_tokens"], completion, "{case}");
        // The budget is settled before the record is written.
        let charged = i64::try_from(prompt + completion).unwrap();
        assert_eq!(before - left(&server).await, charged, "{case}");
    };
    // On the heap: the futures of all servers are too large for the stack of a test.
    join_all(cases.into_iter().map(end)).await;
}

// FC01
#[tokio::test]
async fn charges_the_prompt_of_a_client_that_disconnects_early() {
    let server = TestServer::start_with(LINES).await;
    let text = "word ".repeat(80);
    let whole = chat_body(json!(text), json!({"max_tokens": 1}));
    let answer: Value = server.chat(&whole).await.json().await.unwrap();
    let prompt = answer["usage"]["prompt_tokens"].as_u64().unwrap();
    assert!(prompt > 80, "{answer}");
    let before = left(&server).await;

    let fields = json!({"stream": true, "max_tokens": 600});
    let mut pieces = server
        .chat(&chat_body(json!(text), fields))
        .await
        .bytes_stream();
    pieces.next().await.unwrap().unwrap();
    drop(pieces);
    let find = || {
        let mut all = requests(&server, "app.log").into_iter();
        all.find(|record| record["outcome"] == "client_left")
    };
    until_async("a record", async || find().is_some()).await;
    let record = find().unwrap();
    assert_eq!(record["prompt_tokens"], prompt, "{record}");
    let made = record["completion_tokens"].as_u64().unwrap();
    assert!((1..600).contains(&made), "{record}");
    let charged = i64::try_from(prompt + made).unwrap();
    assert_eq!(before - left(&server).await, charged, "{record}");
}

// FC01
#[tokio::test]
async fn a_client_that_always_disconnects_exhausts_its_budget() {
    let lines = "[token_budget]\nby_key = \"1000/day\"\n";
    let server = TestServer::start_with(lines).await;
    let body = chat_body(
        json!("word ".repeat(60)),
        json!({"stream": true, "max_tokens": 200}),
    );
    for _ in 0..20 {
        let request = server.request(Method::POST, "/v1/chat/completions");
        let answer = request
            .bearer_auth(FULL_KEY)
            .json(&body)
            .send()
            .await
            .unwrap();
        if answer.status() == 429 {
            return;
        }
        let mut pieces = answer.bytes_stream();
        pieces.next().await.unwrap().unwrap();
    }
    panic!("twenty long prompts of about 320 tokens each passed a budget of 1,000");
}

// FC06
#[tokio::test]
async fn a_chat_without_max_tokens_reserves_the_default() {
    for (lines, answer) in [
        // The server's default.
        ("", 256),
        ("[model]\ndefault_max_tokens = 100\n", 100),
        // Set by the operator.
        ("[token_budget]\ndefault_max_tokens = 50\n", 50),
    ] {
        let mut config = lines.to_owned();
        if !config.contains("[token_budget]\n") {
            config += "[token_budget]\n";
        }
        let config = config.replace(
            "[token_budget]\n",
            "[token_budget]\nby_key = \"2000/day\"\n",
        );
        let config = format!("{config}[rate_limit]\nheaders = [\"openai\"]\n");
        let server = TestServer::with(Arc::new(ScriptedBackend::new(Script::Stall)), &config).await;
        let fields = json!({"max_tokens": null, "stream": true});
        let response = server.chat(&chat_body(json!("Hi"), fields)).await;
        assert_eq!(response.status(), 200, "{lines}");
        let left = response.headers()["x-ratelimit-remaining-tokens"].to_str();
        // Two characters and the template's overhead.
        let prompt = 9;
        assert_eq!(
            left.unwrap(),
            (2_000 - prompt - answer).to_string(),
            "{lines}"
        );
    }
}
