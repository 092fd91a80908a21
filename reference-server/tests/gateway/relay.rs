//! Requests that are relayed unchanged.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::{Value, json};
use stockade_testkit::{
    poll::until_async,
    scripted_upstream::{Answer, Chat, ScriptedUpstream, Step},
};

use crate::gateway::{Gateway, KEY, UPSTREAM_KEY, chat, code, text};

#[tokio::test]
async fn the_upstream_gets_the_bytes_that_were_validated() {
    let upstream = ScriptedUpstream::http1().await;
    let gateway = Gateway::new(&upstream, "").await;
    upstream.always(Chat::new("Hi").usage(7, 2).json());
    // Spaces and escapes are kept; the alias becomes the model's name.
    let body = "{ \"messages\":[{\"role\":\"user\",\"content\":\"\\u0048i \\\"model\\\": 1\"}], \
                \"model\" : \"smaller\",\t\"vendor_option\": [1.0, 2e0] }";
    let response = gateway.post("/v1/chat/completions", &json!({})).body(body);
    let response = response.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "Hi");

    let request = &upstream.requests()[0];
    assert_eq!(request.uri.path(), "/v1/chat/completions");
    let expected = body.replace("\"smaller\"", "\"small\"");
    assert_eq!(request.body, expected);
    let headers = &request.headers;
    assert_eq!(headers["authorization"], format!("Bearer {UPSTREAM_KEY}"));
    assert!(!format!("{headers:?}").contains(KEY));
    assert!(headers.contains_key("x-request-id"));
    let record = gateway.record().await;
    assert_eq!(
        (
            &record["prompt_tokens"],
            &record["completion_tokens"],
            &record["usage"]
        ),
        (&json!(7), &json!(2), &Value::Null)
    );
}

#[tokio::test]
async fn a_stream_passes_with_its_usage_removed() {
    let upstream = ScriptedUpstream::http1().await;
    let gateway = Gateway::new(&upstream, "").await;
    upstream.always(Chat::pieces(["a", "b"]).usage(7, 2).stream());
    let stream = text(gateway.chat(json!({"stream": true})).await).await;
    assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
    assert!(!stream.contains("\"usage\":{"), "{stream}");
    let sent: Value = serde_json::from_slice(&upstream.requests()[0].body).unwrap();
    assert_eq!(sent["stream_options"], json!({"include_usage": true}));
    let record = gateway.record().await;
    assert_eq!(record["completion_tokens"], 2);
    assert_eq!(record["usage"], Value::Null);
}

#[tokio::test]
async fn a_client_that_asks_for_the_usage_gets_it() {
    let upstream = ScriptedUpstream::http1().await;
    let gateway = Gateway::new(&upstream, "").await;
    upstream.always(Chat::pieces(["a", "b"]).usage(7, 2).stream());
    let fields = json!({"stream": true, "stream_options": {"include_usage": true}});
    let stream = text(gateway.chat(fields).await).await;
    assert!(stream.contains("\"usage\":{"), "{stream}");
}

#[tokio::test]
async fn usage_that_the_upstream_does_not_report_is_estimated() {
    for stream in [false, true] {
        let upstream = ScriptedUpstream::http1().await;
        let gateway = Gateway::new(&upstream, "").await;
        let chat = Chat::pieces(["one ", "two ", "three"]).without_usage();
        upstream.always(if stream { chat.stream() } else { chat.json() });
        text(gateway.chat(json!({"stream": stream})).await).await;
        let record = gateway.record().await;
        assert_eq!(record["usage"], "estimated", "{record}");
        assert!(record["prompt_tokens"].as_u64().unwrap() > 0, "{record}");
        assert!(
            record["completion_tokens"].as_u64().unwrap() >= 3,
            "{record}"
        );
    }
}

#[tokio::test]
async fn a_chat_without_max_tokens_reserves_the_default_of_its_model() {
    let upstream = ScriptedUpstream::http1().await;
    let model = |name, tokens| {
        let url = upstream.url();
        format!(
            "[[models]]\nname = \"{name}\"\naliases = [\"{name}-alias\"]\n\
             default_max_tokens = {tokens}\nupstream = [{{ url = \"{url}\" }}]\n"
        )
    };
    let models = [model("small", 50), model("large", 500)].concat();
    for (default, name, expected) in [
        ("", "small", 200),
        ("", "small-alias", 200),
        ("", "large", 400),
        ("", "large-alias", 400),
        ("default_max_tokens = 60\n", "large", 200),
        ("default_max_tokens = 600\n", "small", 400),
    ] {
        let gateway = Gateway::with(&format!(
            "{models}[token_budget]\nby_key = [\"100/minute\"]\n{default}\
             [upstreams]\nhealth_interval_secs = 0\n"
        ))
        .await;
        let messages = json!([{"role": "user", "content": "Hi"}]);
        let body = json!({"model": name, "messages": messages});
        let response = gateway.post("/v1/chat/completions", &body).send().await;
        assert_eq!(response.unwrap().status(), expected, "{default}{name}");
    }
}

#[tokio::test]
async fn requests_wait_for_an_upstream_that_limits_the_rate() {
    // Relayed, and translated.
    for path in ["/v1/chat/completions", "/v1/messages"] {
        let upstream = ScriptedUpstream::http1().await;
        let lines = "[upstreams]\nmax_retries = 0\nhealth_interval_secs = 0\n";
        let gateway = Gateway::new(&upstream, lines).await;
        upstream.next(Answer::rate_limited("1"));
        upstream.always(Chat::new("Hi").stream());
        let body = chat(json!({"stream": true}));
        for status in [503, 200] {
            let response = gateway.post(path, &body).send().await.unwrap();
            assert_eq!(response.status(), status, "{path}");
        }
        assert_eq!(upstream.requests().len(), 2, "{path}");
    }
}

#[tokio::test]
async fn an_error_of_the_upstream_inside_a_stream_passes_and_is_recorded() {
    let upstream = ScriptedUpstream::http1().await;
    let gateway = Gateway::new(&upstream, "").await;
    upstream.always(Answer::events([
        "data: {\"error\":{\"message\":\"out of memory\"}}\n\n",
    ]));
    let stream = text(gateway.chat(json!({"stream": true})).await).await;
    assert!(stream.contains("out of memory"), "{stream}");
    assert_eq!(gateway.record().await["code"], "UPSTREAM_FAILED");
}

// R10
#[tokio::test]
async fn a_client_that_leaves_cancels_the_upstream() {
    for http2 in [false, true] {
        let upstream = match http2 {
            true => ScriptedUpstream::http2().await,
            false => ScriptedUpstream::http1().await,
        };
        let url = upstream.url();
        let gateway = Gateway::with(&format!(
            "[[models]]\nname = \"small\"\nupstream = [{{ url = \"{url}\", http2 = {http2} }}]\n\
             [upstreams]\nhealth_interval_secs = 0\n"
        ))
        .await;
        upstream.always(Chat::pieces(["a"; 3]).stream().cut_after(2, Step::Stall));
        let mut stream = gateway.chat(json!({"stream": true})).await.bytes_stream();
        stream.next().await.unwrap().unwrap();
        let left = Instant::now();
        drop(stream);
        until_async("the upstream sees it", async || {
            upstream.requests()[0].client_left.is_some()
        })
        .await;
        let seen = upstream.requests()[0].client_left.unwrap();
        assert!(seen.duration_since(left) < Duration::from_millis(100));
        let record = gateway.record().await;
        assert_eq!(record["usage"], "estimated", "{record}");
    }
}

#[tokio::test]
async fn an_unavailable_upstream_shows_in_health_and_metrics() {
    let upstream = ScriptedUpstream::http1().await;
    let lines = "[upstreams]\nmax_retries = 0\nhealth_interval_secs = 0\nbreaker_failures = 2\n";
    let gateway = Gateway::new(&upstream, lines).await;
    upstream.always(Answer::error(503));
    for _ in 0..2 {
        assert_eq!(gateway.chat(json!({})).await.status(), 503);
    }
    let response = gateway.chat(json!({})).await;
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(
        code(response).await,
        (503, "UPSTREAM_UNAVAILABLE".to_owned())
    );
    assert_eq!(upstream.requests().len(), 2, "the breaker is open");
    let state = gateway.upstream_state().await;
    assert_eq!(
        (&state["breaker"], &state["url"]),
        (&json!("open"), &json!(upstream.url()))
    );
    assert_eq!(
        gateway.get("/health/ready").send().await.unwrap().status(),
        503
    );
    let metrics = gateway.metrics().await;
    assert!(
        metrics.contains("stockade_upstream_breaker_state"),
        "{metrics}"
    );
}

#[tokio::test]
async fn misspelt_fields_and_unknown_models_never_reach_the_upstream() {
    let upstream = ScriptedUpstream::http1().await;
    let gateway = Gateway::new(&upstream, "").await;
    for (fields, expected) in [
        (json!({"max_token": 5}), (400, "UNKNOWN_PARAMETER")),
        (
            json!({"max_tokens": 1_000_000}),
            (400, "VALUE_OUT_OF_RANGE"),
        ),
        (json!({"model": "large"}), (404, "MODEL_NOT_FOUND")),
    ] {
        let shown = fields.to_string();
        let (status, was) = code(gateway.chat(fields).await).await;
        assert_eq!((status, was.as_str()), expected, "{shown}");
    }
    assert!(upstream.requests().is_empty());
}

// I01
#[tokio::test]
async fn remote_images_never_reach_the_upstream() {
    let upstream = ScriptedUpstream::http1().await;
    let gateway = Gateway::new(&upstream, "").await;
    let image = json!({"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}});
    let body = chat(json!({"messages": [{"role": "user", "content": [image]}]}));
    let response = gateway
        .post("/v1/chat/completions", &body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 400);
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn the_trace_of_the_client_is_continued() {
    let upstream = ScriptedUpstream::http1().await;
    let gateway = Gateway::new(&upstream, "").await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    upstream.always(Chat::new("Hi").stream());
    let chat = chat(json!({"stream": true}));
    // Relayed, and translated twice.
    for (path, body) in [
        ("/v1/chat/completions", &chat),
        ("/v1/messages", &chat),
        (
            "/v1/responses",
            &json!({"model": "small", "input": "Hi", "stream": true}),
        ),
    ] {
        let request = gateway.post(path, body);
        let request = request
            .header("traceparent", parent)
            .header("tracestate", "a=1")
            .header("cookie", "a=b");
        assert_eq!(request.send().await.unwrap().status(), 200, "{path}");
        let sent = upstream.requests().pop().unwrap();
        assert_eq!(sent.uri.path(), "/v1/chat/completions");
        let sent = sent.headers;
        assert_eq!(sent["traceparent"], parent, "{path}");
        assert_eq!(sent["tracestate"], "a=1", "{path}");
        assert!(!sent.contains_key("cookie"), "{path}");
    }
}

#[tokio::test]
async fn a_fallback_answers_for_an_unavailable_model() {
    let (first, second) = (
        ScriptedUpstream::http1().await,
        ScriptedUpstream::http1().await,
    );
    let gateway = Gateway::with_fallback(&first, &second).await;
    first.always(Answer::error(503));
    second.always(Chat::new("Hi").usage(7, 2).json());
    let response = gateway.chat(json!({})).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-stockade-fallback"], "spare");
    let sent: Value = serde_json::from_slice(&second.requests()[0].body).unwrap();
    assert_eq!(sent["model"], "spare");
    assert_eq!(gateway.record().await["completion_tokens"], 2);
    let metrics = gateway.metrics().await;
    assert!(
        metrics.contains("stockade_model_fallbacks_total"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_mistake_of_the_client_reaches_no_fallback() {
    let (first, second) = (
        ScriptedUpstream::http1().await,
        ScriptedUpstream::http1().await,
    );
    let gateway = Gateway::with_fallback(&first, &second).await;
    first.always(Answer::error(400));
    let response = gateway.chat(json!({})).await;
    assert!(!response.headers().contains_key("x-stockade-fallback"));
    assert_eq!(code(response).await, (400, "UPSTREAM_REJECTED".to_owned()));
    assert!(second.requests().is_empty());
}

#[tokio::test]
async fn rerank_is_relayed_and_charged() {
    let upstream = ScriptedUpstream::http1().await;
    let gateway = Gateway::new(&upstream, "").await;
    upstream.always(Answer::json(
        r#"{"results":[{"index":0,"relevance_score":0.9}],"usage":{"total_tokens":9,"prompt_tokens":9}}"#,
    ));
    let body = json!({"model": "small", "query": "a", "documents": ["b", "c"]});
    let response = gateway.post("/v1/rerank", &body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["results"][0]["index"], 0);
    assert_eq!(upstream.requests()[0].uri.path(), "/v1/rerank");
    assert_eq!(gateway.record().await["prompt_tokens"], 9);
}

#[tokio::test]
async fn a_stream_of_another_api_ends_with_an_error_of_its_own() {
    let upstream = ScriptedUpstream::http1().await;
    let url = upstream.url();
    let gateway = Gateway::with(&format!(
        "[[models]]\nname = \"small\"\nupstream = [{{ url = \"{url}\" }}]\n\
         apis = [\"messages\", \"responses\"]\n[upstreams]\nhealth_interval_secs = 0\n"
    ))
    .await;
    upstream.always(Answer::events(["event: x\ndata: {\"type\":\"x\"}\n\n"]).step(Step::Close));
    let messages = json!([{"role": "user", "content": "Hi"}]);
    for (path, body, kind) in [
        (
            "/v1/messages",
            json!({"model": "small", "max_tokens": 5, "messages": messages, "stream": true}),
            "error",
        ),
        (
            "/v1/responses",
            json!({"model": "small", "input": "Hi", "stream": true}),
            "error",
        ),
    ] {
        let response = gateway.post(path, &body).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let stream = text(response).await;
        let (_, last) = stream
            .trim_end()
            .rsplit_once("event: error\ndata: ")
            .expect(&stream);
        let last: Value = serde_json::from_str(last).unwrap();
        assert_eq!(last["type"], kind, "{path}: {stream}");
        assert_eq!(upstream.requests().last().unwrap().uri.path(), path);
    }
}

#[tokio::test]
async fn embeddings_and_tokens_are_relayed() {
    let upstream = ScriptedUpstream::http1().await;
    let gateway = Gateway::new(&upstream, "").await;
    upstream.next(Answer::json(
        r#"{"object":"list","data":[{"embedding":[0.5]}],"usage":{"prompt_tokens":4,"total_tokens":4}}"#,
    ));
    let body = json!({"model": "small", "input": ["a", "b"], "encoding_format": "float"});
    let response = gateway.post("/v1/embeddings", &body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let record = gateway.record().await;
    assert_eq!(
        (&record["prompt_tokens"], &record["completion_tokens"]),
        (&json!(4), &json!(0))
    );

    upstream.next(Answer::json(
        r#"{"tokens":[1,2],"count":2,"max_model_len":8}"#,
    ));
    let body = json!({"model": "small", "prompt": "Hello"});
    let response = gateway.post("/tokenize", &body).send().await.unwrap();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["count"], 2);
    let paths: Vec<_> = upstream
        .requests()
        .iter()
        .map(|r| r.uri.path().to_owned())
        .collect();
    assert_eq!(paths, ["/v1/embeddings", "/tokenize"]);
}

#[tokio::test]
async fn an_api_that_the_model_lacks_is_refused_with_a_model_that_has_it() {
    let upstream = ScriptedUpstream::http1().await;
    let url = upstream.url();
    let gateway = Gateway::with(&format!(
        "[[models]]\nname = \"small\"\napis = [\"chat\"]\nupstream = [{{ url = \"{url}\" }}]\n\
         [[models]]\nname = \"embed\"\napis = [\"embeddings\"]\nupstream = [{{ url = \"{url}\" }}]\n\
         [upstreams]\nhealth_interval_secs = 0\n"
    ))
    .await;
    let body = json!({"model": "small", "input": "a"});
    let response = gateway.post("/v1/embeddings", &body).send().await.unwrap();
    assert_eq!(response.status(), 400);
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["error"]["param"], "model");
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .ends_with("use `embed`"),
        "{answer}"
    );
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn the_stream_of_a_revoked_key_ends_with_an_error_of_its_api() {
    for (path, apis) in [
        ("/v1/chat/completions", "chat"),
        ("/v1/responses", "responses"),
    ] {
        let upstream = ScriptedUpstream::http1().await;
        let url = upstream.url();
        let gateway = Gateway::with(&format!(
            "[[models]]\nname = \"small\"\nupstream = [{{ url = \"{url}\" }}]\n\
             apis = [\"{apis}\"]\n[upstreams]\nhealth_interval_secs = 0\n"
        ))
        .await;
        let endless = Answer::events(["data: {\"choices\":[]}\n\n"; 3]).step(Step::Stall);
        upstream.always(endless);
        let mut body = chat(json!({"stream": true, "input": "Hi"}));
        if apis == "responses" {
            let fields = body.as_object_mut().unwrap();
            fields.remove("messages");
            fields.remove("max_tokens");
        } else {
            body.as_object_mut().unwrap().remove("input");
        }
        let response = gateway.post(path, &body).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        gateway.revoke();
        let stream = text(response).await;
        let (_, last) = stream.trim_end().rsplit_once("data: ").expect(&stream);
        let last: Value = serde_json::from_str(last).unwrap();
        let code = match apis {
            "responses" => &last["code"],
            _ => &last["error"]["code"],
        };
        assert_eq!(code, "AUTHENTICATION_FAILED", "{stream}");
        until_async("the upstream is left", async || {
            upstream.requests()[0].client_left.is_some()
        })
        .await;
        assert_eq!(gateway.record().await["code"], "AUTHENTICATION_FAILED");
    }
}
