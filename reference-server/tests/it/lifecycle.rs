//! Clients that disconnect, models that fail, and shutdown.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use stockade_server::{
    ShutdownReport, ShutdownSignal,
    backend::{BackendError, Phase},
};
use stockade_testkit::poll::until_async;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    scripted_backend::{Script, ScriptedBackend, wait_until},
    test_server::{METRICS_KEY, TestServer, events},
};

async fn code(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    (status, body["error"]["code"].as_str().unwrap().to_owned())
}

async fn refused(script: Script, lines: &str) -> (u16, String) {
    let server = TestServer::with(Arc::new(ScriptedBackend::new(script)), lines).await;
    code(server.chat_with(json!({})).await).await
}

// R10
#[tokio::test]
async fn a_disconnect_frees_the_only_slot() {
    let server = TestServer::with_model("max_running = 1\nmax_queued = 0\n").await;
    let long = json!({"stream": true, "max_tokens": 8_000});
    let mut first = server.chat_with(long).await.bytes_stream();
    assert!(first.next().await.unwrap().is_ok());

    let response = server.chat_with(json!({})).await;
    let wait = response.headers()["retry-after"].to_str().unwrap();
    assert!(wait.parse::<u64>().unwrap() >= 1);
    assert_eq!(code(response).await, (503, "QUEUE_FULL".to_owned()));

    drop(first);
    until_async("the slot is released", async || {
        server.chat_with(json!({})).await.status() == 200
    })
    .await;
}

#[tokio::test]
async fn a_disconnect_before_the_head_drops_the_generation() {
    for script in [Script::Hang, Script::Stall] {
        let backend = ScriptedBackend::new(script);
        let running = backend.running();
        let server = TestServer::with(Arc::new(backend), "").await;
        tokio::select! {
            _ = server.chat_with(json!({})) => panic!("the server responded"),
            () = wait_until(&running, 1) => {}
        }
        wait_until(&running, 0).await;
    }
}

#[tokio::test]
async fn a_disconnect_during_a_stream_drops_the_generation() {
    let backend = ScriptedBackend::new(Script::Stall);
    let running = backend.running();
    let server = TestServer::with(Arc::new(backend), "").await;
    let stream = server.chat_with(json!({"stream": true})).await;
    wait_until(&running, 1).await;
    drop(stream);
    wait_until(&running, 0).await;
}

#[tokio::test]
async fn reports_an_unavailable_model() {
    for (phase, status, expected) in [
        (
            Phase::Loading("half".to_owned()),
            "loading",
            "MODEL_LOADING",
        ),
        (
            Phase::Failed("no weights".to_owned()),
            "failed",
            "MODEL_FAILED",
        ),
    ] {
        let server = TestServer::with(Arc::new(ScriptedBackend::in_phase(phase)), "").await;
        let request = server
            .request(Method::GET, "/health/details")
            .bearer_auth(METRICS_KEY);
        let health = request.send().await.unwrap();
        assert_eq!(health.status(), 503);
        let health: Value = health.json().await.unwrap();
        assert_eq!(health["status"], status);
        let model = &health["models"][0];
        assert_eq!(model["status"], status);
        assert_eq!(model["error"].is_string(), status == "failed");
        let response = server.chat_with(json!({})).await;
        assert!(response.headers().contains_key("retry-after"));
        assert_eq!(code(response).await, (503, expected.to_owned()));
    }
}

// H05, R11
#[tokio::test]
async fn failures_of_the_backend_have_codes() {
    let second = "[server]\nrequest_timeout_secs = 1\n";
    for (script, lines, expected) in [
        (
            Script::Refuse(BackendError::Engine),
            "",
            (500, "ENGINE_FAILED"),
        ),
        (
            Script::Break(BackendError::Engine),
            "",
            (500, "ENGINE_FAILED"),
        ),
        (
            Script::Refuse(BackendError::QueueTimeout {
                retry_after: Duration::from_secs(7),
            }),
            "",
            (503, "QUEUE_TIMEOUT"),
        ),
        (
            Script::Refuse(BackendError::Stuck),
            "",
            (503, "MODEL_STUCK"),
        ),
        (
            Script::Refuse(BackendError::TooCostly {
                estimate: Duration::from_secs(90),
                limit: Duration::from_secs(60),
            }),
            "",
            (400, "REQUEST_TOO_COSTLY"),
        ),
        (Script::Panic, "", (500, "INTERNAL_ERROR")),
        (Script::Hang, second, (504, "MODEL_TIMEOUT")),
        (Script::Prefill, second, (504, "MODEL_TIMEOUT")),
    ] {
        let (status, code) = refused(script, lines).await;
        assert_eq!((status, code.as_str()), expected);
    }
}

// H05
#[tokio::test]
async fn a_timeout_returns_what_the_model_has_generated() {
    let second = "[server]\nrequest_timeout_secs = 1\n";
    let backend = ScriptedBackend::new(Script::Stall);
    let running = backend.running();
    let server = TestServer::with(Arc::new(backend), second).await;
    let response = server.chat_with(json!({})).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-stockade-timeout"], "1");
    let answer: Value = response.json().await.unwrap();
    let choice = &answer["choices"][0];
    assert_eq!(choice["message"]["content"], "some");
    assert_eq!(choice["finish_reason"], "length");
    assert_eq!(answer["usage"]["completion_tokens"], 1);
    wait_until(&running, 0).await;
}

#[tokio::test]
async fn a_failed_stream_ends_with_an_error_and_without_done() {
    let second = "[server]\nrequest_timeout_secs = 1\n";
    for (script, lines, expected) in [
        (Script::Break(BackendError::Engine), "", "ENGINE_FAILED"),
        (Script::Stall, second, "MODEL_TIMEOUT"),
    ] {
        let backend = ScriptedBackend::new(script);
        let running = backend.running();
        let server = TestServer::with(Arc::new(backend), lines).await;
        let stream = server
            .chat_with(json!({"stream": true}))
            .await
            .text()
            .await
            .unwrap();
        let events = events(&stream);
        let last: Value = serde_json::from_str(events.last().unwrap()).unwrap();
        assert_eq!(last["error"]["code"], expected, "{stream}");
        assert!(stream.contains("\"some\""), "{stream}");
        wait_until(&running, 0).await;
    }
}

// B03
#[tokio::test]
async fn slow_heads_and_bodies_time_out() {
    let lines = "[server]\nheader_timeout_secs = 1\nbody_timeout_secs = 1\n";
    let server = TestServer::with(Arc::new(ScriptedBackend::new(Script::Hang)), lines).await;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 9\r\n\r\n",
        crate::test_server::FULL_KEY
    );
    for (bytes, expected) in [
        ("", ""),
        ("P", ""),
        (&head[..20], ""),
        (&head, "HTTP/1.1 408"),
    ] {
        let mut slow = TcpStream::connect(server.address).await.unwrap();
        slow.write_all(bytes.as_bytes()).await.unwrap();
        let mut answer = String::new();
        slow.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(expected), "{answer}");
    }
}

// H01
#[tokio::test]
async fn a_graceful_shutdown_lets_responses_complete() {
    let server = TestServer::start().await;
    let long = json!({"stream": true, "max_tokens": 200});
    let response = server.chat_with(long).await;
    server.shutdown.send_replace(ShutdownSignal::Graceful);
    let stream = response.text().await.unwrap();
    assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
    let ended = server.report.await.unwrap();
    assert_eq!(
        ended,
        ShutdownReport {
            aborted: 0,
            immediate: false
        }
    );
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn aborts_responses_after_the_grace_period_or_immediately() {
    for (lines, signal, immediate) in [
        (
            "[server]\nshutdown_grace_secs = 1\n",
            ShutdownSignal::Graceful,
            false,
        ),
        ("", ShutdownSignal::Immediate, true),
    ] {
        let backend = ScriptedBackend::new(Script::Stall);
        let running = backend.running();
        let server = TestServer::with(Arc::new(backend), lines).await;
        let response = server.chat_with(json!({"stream": true})).await;
        server.shutdown.send_replace(signal);
        let ended = server.report.await.unwrap();
        assert_eq!(
            ended,
            ShutdownReport {
                aborted: 1,
                immediate
            }
        );
        wait_until(&running, 0).await;
        let text = response.text().await.unwrap();
        assert!(text.contains("SERVER_STOPPING"), "{text}");
        assert!(!text.contains("[DONE]"), "{text}");
    }
}
