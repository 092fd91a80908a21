//! Each fault of an upstream has one outcome: of objects and of streams, relayed and translated.

use std::{net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use http::header::CONTENT_LENGTH;
use serde_json::json;
use stockade_testkit::{
    poll::until_async,
    port,
    scripted_upstream::{Answer, Chat, ScriptedUpstream, Step},
};

use crate::gateway::{Gateway, chat, code, text};

/// A way of a request to the upstream.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Relayed,
    RelayedStream,
    Translated,
    TranslatedStream,
}

use Way::{Relayed, RelayedStream, Translated, TranslatedStream};

const WAYS: [Way; 4] = [Relayed, RelayedStream, Translated, TranslatedStream];

/// What a fault means for the client, the record, the circuit breaker and the charge.
#[derive(Debug, PartialEq)]
struct Outcome {
    status: u16,
    /// Of the response and of the record; empty for a success.
    code: String,
    opens_breaker: bool,
    completion_tokens: u64,
}

impl Outcome {
    fn new(status: u16, code: &str, opens_breaker: bool, completion_tokens: u64) -> Self {
        Self {
            status,
            code: code.to_owned(),
            opens_breaker,
            completion_tokens,
        }
    }

    /// Sends a request in this way to an upstream with this answer.
    async fn of(way: Way, answer: Answer) -> Self {
        Self::within(2, way, answer).await
    }

    async fn within(seconds: u32, way: Way, answer: Answer) -> Self {
        let lines = "[upstreams]\nmax_retries = 0\n\
                     health_interval_secs = 0\nfirst_byte_timeout_secs = 1\n\
                     idle_timeout_secs = 1\nbreaker_failures = 1\n";
        let lines = format!("[server]\nrequest_timeout_secs = {seconds}\n{lines}");
        let upstream = ScriptedUpstream::http1().await;
        let gateway = Gateway::new(&upstream, &lines).await;
        upstream.always(answer);
        let is_stream = matches!(way, RelayedStream | TranslatedStream);
        let (path, body) = match way {
            Relayed | RelayedStream => ("/v1/chat/completions", chat(json!({"stream": is_stream}))),
            Translated | TranslatedStream => (
                "/v1/responses",
                json!({"model": "small", "input": "Hi", "stream": is_stream}),
            ),
        };
        let response = gateway.post(path, &body).send().await.unwrap();
        let status = response.status().as_u16();
        let retry_after = response.headers().contains_key("retry-after");
        assert_eq!(retry_after, status == 503);
        let body = text(response).await;
        let record = gateway.record().await;
        let code = record["code"].as_str().unwrap_or_default();
        // A failed response of OpenAI's API has codes of that API.
        let shown = match (way, status) {
            (TranslatedStream, 200) if !code.is_empty() => "response.failed",
            _ => code,
        };
        assert!(body.contains(shown), "{code}: {body}");
        if is_stream && status == 200 {
            let is_complete = body.contains("[DONE]") || body.contains("response.completed");
            assert_eq!(is_complete, code.is_empty(), "{body}");
            assert_eq!(record["outcome"] == "failed", !code.is_empty(), "{record}");
            let has_tokens = record["completion_tokens"] != 0;
            let is_estimate = !is_complete && (way == RelayedStream || has_tokens);
            assert_eq!(record["usage"] == "estimated", is_estimate, "{record}");
        }
        assert_eq!(upstream.requests().len(), 1, "no retry");
        let state = gateway.upstream_state().await;
        Self {
            status,
            code: code.to_owned(),
            opens_breaker: state["breaker"] == "open",
            completion_tokens: record["completion_tokens"].as_u64().unwrap(),
        }
    }
}

// H05
#[tokio::test]
async fn before_the_body() {
    const FAILED: &str = "UPSTREAM_FAILED";
    let too_large = Chat::new("Hi")
        .json()
        .header(CONTENT_LENGTH, 65_usize << 20);
    for (answer, status, code, opens_breaker) in [
        (Answer::error(400), 400, "UPSTREAM_REJECTED", false),
        (Answer::error(401), 502, FAILED, false),
        (Answer::error(404), 502, FAILED, false),
        (Answer::rate_limited("7"), 503, "UPSTREAM_BUSY", false),
        (Answer::error(500), 502, FAILED, false),
        (Answer::error(502), 502, FAILED, true),
        (Answer::error(503), 503, "UPSTREAM_BUSY", true),
        (Answer::error(504), 504, "UPSTREAM_TIMEOUT", true),
        (Answer::close_before_head(), 502, FAILED, true),
        (Answer::reset_before_head(), 502, FAILED, true),
        (
            Answer::redirect("http://169.254.169.254/"),
            502,
            FAILED,
            false,
        ),
        (Answer::huge_head(1 << 20), 502, FAILED, false),
        (Chat::new("Hi").json().gzip(), 502, FAILED, false),
        (Chat::new("Hi").stream().gzip(), 502, FAILED, false),
        (
            Chat::new("Hi").json().content_type("text/html"),
            502,
            FAILED,
            false,
        ),
        (
            Chat::new("Hi").stream().content_type("text/html"),
            502,
            FAILED,
            false,
        ),
        (too_large, 502, FAILED, false),
    ] {
        let outcomes = WAYS.map(|way| Outcome::of(way, answer.clone()));
        for (way, outcome) in WAYS.iter().zip(join_all(outcomes).await) {
            let expected = Outcome::new(status, code, opens_breaker, 0);
            assert_eq!(outcome, expected, "{way:?} {answer:.120?}");
        }
    }
}

#[tokio::test]
async fn without_a_head() {
    for way in WAYS {
        let expected = match way {
            // The head follows the last token: only the deadline limits it.
            Relayed => Outcome::new(504, "MODEL_TIMEOUT", false, 0),
            _ => Outcome::new(504, "UPSTREAM_TIMEOUT", true, 0),
        };
        let outcome = Outcome::of(way, Answer::stall_before_head()).await;
        assert_eq!(outcome, expected, "{way:?}");
    }
}

#[tokio::test]
async fn in_an_object() {
    let object = || Chat::new("Hi").json();
    let failed = |opens| Outcome::new(502, "UPSTREAM_FAILED", opens, 0);
    for (answer, expected) in [
        (object().half(), failed(true)),
        (object().cut_after(0, Step::Reset), failed(true)),
        (
            object().cut_after(0, Step::Stall),
            Outcome::new(504, "UPSTREAM_TIMEOUT", true, 0),
        ),
        (Answer::json("{\"choices\":"), failed(false)),
    ] {
        let shown = format!("{answer:.120?}");
        assert_eq!(Outcome::of(Relayed, answer).await, expected, "{shown}");
    }
}

#[tokio::test]
async fn in_small_pieces() {
    for way in WAYS {
        let chat = Chat::new("Hi");
        let answer = if way == Relayed {
            chat.json()
        } else {
            chat.stream()
        };
        let answer = answer.slow(Duration::from_micros(200));
        let outcome = Outcome::within(60, way, answer).await;
        assert_eq!(outcome, Outcome::new(200, "", false, 3), "{way:?}");
    }
}

// H05
#[tokio::test]
async fn in_a_stream() {
    const FAILED: &str = "UPSTREAM_FAILED";
    let start = || Chat::pieces(["a", "b", "c"]).usage(7, 3).stream();
    // The role and one piece.
    let cut = |step| start().cut_after(2, step);
    let no_choices = "data: {\"choices\":[]}\n\n";
    // The charge is an estimate: a token for each event of a relayed stream, and for each piece of
    // text of a translated one. An object that the client does not get is free.
    for (answer, code, opens_breaker, relayed, translated) in [
        (cut(Step::Close), FAILED, true, 2, 1),
        (cut(Step::Reset), FAILED, true, 2, 1),
        (cut(Step::Stall), "UPSTREAM_TIMEOUT", true, 2, 1),
        (Answer::events([no_choices]), FAILED, false, 1, 0),
        (Answer::events(["data: nonsense\n\n"]), FAILED, false, 0, 0),
        (Answer::events(["data: {\"choices\""]), FAILED, false, 0, 0),
        (
            Answer::endless(": comment\n\n"),
            "MODEL_TIMEOUT",
            false,
            0,
            0,
        ),
        (Answer::endless("x"), "MODEL_TIMEOUT", false, 0, 0),
    ] {
        let ways = [RelayedStream, Translated, TranslatedStream];
        let outcomes = ways.map(|way| Outcome::of(way, answer.clone()));
        for (way, outcome) in ways.into_iter().zip(join_all(outcomes).await) {
            let status = match (way, code) {
                (Translated, FAILED) => 502,
                (Translated, "UPSTREAM_TIMEOUT" | "MODEL_TIMEOUT") => 504,
                _ => 200,
            };
            let tokens = match way {
                RelayedStream => relayed,
                Translated if status != 200 => 0,
                _ => translated,
            };
            let expected = Outcome::new(status, code, opens_breaker, tokens);
            assert_eq!(outcome, expected, "{way:?} {answer:.120?}");
        }
    }
}

#[tokio::test]
async fn an_upstream_that_is_absent_at_start_serves_once_it_is_there() {
    let address = SocketAddr::from(([127, 0, 0, 1], port::free()));
    let url = format!("http://{address}/v1");
    let gateway = Gateway::with(&format!(
        "[[models]]\nname = \"small\"\nupstream = [{{ url = \"{url}\" }}]\n\
         [upstreams]\nmax_retries = 0\nhealth_interval_secs = 1\n"
    ))
    .await;
    let is_healthy = async |healthy: bool| {
        until_async(&format!("healthy: {healthy}"), async || {
            gateway.upstream_state().await["healthy"] == healthy
        })
        .await;
        let label = format!("model=\"small\",upstream=\"{url}\"");
        let line = format!("stockade_upstream_healthy{{{label}}} {}", u8::from(healthy));
        let metrics = gateway.metrics().await;
        assert!(metrics.lines().any(|one| one == line), "{line}\n{metrics}");
        gateway.get("/health/ready").send().await.unwrap().status()
    };
    let (status, refused) = code(gateway.chat(json!({})).await).await;
    // Until the health checks have failed, requests are sent.
    let expected = [(502, "UPSTREAM_UNREACHABLE"), (503, "UPSTREAM_UNAVAILABLE")];
    assert!(expected.contains(&(status, &refused)), "{status} {refused}");
    assert_eq!(is_healthy(false).await, 503);
    let refused = code(gateway.chat(json!({})).await).await;
    assert_eq!(refused, (503, "UPSTREAM_UNAVAILABLE".to_owned()));
    let error = &gateway.upstream_state().await["last_error"];
    assert!(
        error
            .as_str()
            .is_some_and(|error| error.contains("refused")),
        "{error}"
    );

    let upstream = ScriptedUpstream::http1_at(address).await;
    upstream.at_path("/v1/models", Answer::json("{}"));
    assert_eq!(is_healthy(true).await, 200);
    assert_eq!(gateway.chat(json!({})).await.status(), 200);
}
