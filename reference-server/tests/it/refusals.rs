//! Refused requests and their responses.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::test_server::{FULL_KEY, READER_KEY, TestServer, chat_body, png};

pub(crate) const CHAT: &str = "/v1/chat/completions";

/// The status and the error object of a refusal.
pub(crate) async fn error(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    let error = body["error"].clone();
    assert!(error["message"].is_string(), "{body}");
    (status, error)
}

// S05
#[tokio::test]
async fn a_preflight_runs_no_handler_and_reveals_no_scope() {
    let server = TestServer::start().await;
    for (key, status) in [(None, 401), (Some(READER_KEY), 405), (Some(FULL_KEY), 405)] {
        for origin in [None, Some("https://evil.example")] {
            let mut request = server.request(Method::OPTIONS, CHAT);
            if let Some(key) = key {
                request = request.bearer_auth(key);
            }
            if let Some(origin) = origin {
                request = request
                    .header("origin", origin)
                    .header("access-control-request-method", "POST");
            }
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), status, "{key:?} {origin:?}");
            let headers = response.headers().clone();
            assert!(
                !headers
                    .keys()
                    .any(|name| name.as_str().starts_with("access-control"))
            );
            let said = format!("{headers:?} {}", response.text().await.unwrap());
            assert!(!said.contains("chat:write"), "{said}");
        }
    }
}

// S03, S04
#[tokio::test]
async fn denies_undeclared_routes() {
    let server = TestServer::start().await;
    for (method, path, status) in [
        // FH06
        (Method::GET, "/", 404),
        (Method::POST, "/v1/audio/speech", 404),
        (Method::POST, "/re_isq", 404),
        (Method::GET, "/v1/chat/completions/", 404),
        (Method::GET, CHAT, 405),
        (Method::TRACE, CHAT, 405),
        (Method::DELETE, "/v1/models/tiny", 405),
        (Method::HEAD, "/v1/models", 200),
        (Method::HEAD, "/health", 200),
        (Method::GET, "/v1/models/other", 404),
    ] {
        let request = server.request(method.clone(), path).bearer_auth(FULL_KEY);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{method} {path}");
        if status >= 400 {
            error(response).await;
        }
    }
    let anonymous = server.request(Method::GET, "/").send().await.unwrap();
    assert_eq!(anonymous.status(), 401);
}

// FH04
#[tokio::test]
async fn rejections_by_axum_use_the_clients_error_format() {
    let server = TestServer::start().await;
    let ask = |method: Method, path: &str, accept: &str| {
        let request = server.request(method, path).bearer_auth(FULL_KEY);
        request.header("accept", accept).send()
    };
    for (method, path, status) in [
        (Method::GET, "/v1/models/%ff", 400),
        (Method::GET, "/v1/none", 404),
        (Method::PUT, "/v1/models", 405),
    ] {
        let answer = ask(method.clone(), path, "*/*").await.unwrap();
        let (was, error) = error(answer).await;
        assert_eq!(was, status, "{path}");
        assert!(error["code"].is_string() && error["message"].is_string());

        let answer = ask(method, path, "application/problem+json").await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert_eq!(answer.headers().contains_key("allow"), status == 405);
    }
}

// FH12
#[tokio::test]
async fn refusals_do_not_escape_unicode() {
    let server = TestServer::start().await;
    let refused = server
        .request(Method::GET, "/v1/models")
        .send()
        .await
        .unwrap();
    let text = refused.text().await.unwrap();
    assert!(!text.contains("\\u"), "{text}");
}

#[tokio::test]
async fn refuses_fields_by_name() {
    let server = TestServer::start().await;
    let image = |url: &str| json!([{"type": "image_url", "image_url": {"url": url}}]);
    let url = "messages[0].content[0].image_url.url";
    for (body, status, param) in [
        (chat_body(json!("a"), json!({"model": "gpt"})), 404, "model"),
        (
            chat_body(json!("a"), json!({"temperature": 3})),
            400,
            "temperature",
        ),
        (
            chat_body(json!("a"), json!({"max_tokens": -1})),
            400,
            "max_tokens",
        ),
        (
            chat_body(json!("a"), json!({"tools": [{}]})),
            400,
            "tools[0].type",
        ),
        (
            chat_body(json!("a"), json!({"max_token": 1})),
            400,
            "max_token",
        ),
        (chat_body(json!(1), json!({})), 400, "messages[0].content"),
        (
            chat_body(image("https://example.com/a.png"), json!({})),
            400,
            url,
        ),
        (
            chat_body(image("data:image/png;base64,AAAA"), json!({})),
            400,
            url,
        ),
    ] {
        let (was, error) = error(server.chat(&body).await).await;
        assert_eq!((was, &error["param"]), (status, &json!(param)), "{body}");
    }
    let (status, error) = error(server.chat(&json!({"model": "tiny"})).await).await;
    assert_eq!(status, 400);
    assert!(
        error["message"].as_str().unwrap().contains("messages"),
        "{error}"
    );
}

// I09
#[tokio::test]
async fn a_truncated_image_has_a_fixed_message() {
    let server = TestServer::start().await;
    let whole = png([9, 9, 9]);
    let cut = &whole[..whole.len() / 8 * 4];
    let content = json!([{"type": "image", "image": {"b64": cut}}]);
    let (status, error) = error(server.chat(&chat_body(content, json!({}))).await).await;
    assert_eq!(status, 400);
    assert_eq!(error["code"], "INVALID_IMAGE");
    assert_eq!(error["message"], "the image is broken or truncated");
    assert_eq!(error["param"], "messages[0].content[0].image.b64");
}

#[tokio::test]
async fn the_model_refuses_a_third_image() {
    let server = TestServer::start().await;
    let image = json!({"type": "image", "image": {"b64": png([1, 2, 3])}});
    let content = json!([image, image, image]);
    let (status, error) = error(server.chat(&chat_body(content, json!({}))).await).await;
    assert_eq!((status, &error["param"]), (400, &json!("messages")));
}

#[tokio::test]
async fn requires_json_bodies_of_limited_size() {
    let server = TestServer::start().await;
    let post = || server.request(Method::POST, CHAT).bearer_auth(FULL_KEY);
    let typed = || post().header("content-type", "application/json; charset=utf-8");
    let large = vec![b' '; 20 * 1024 * 1024 + 1];
    let chunks = large
        .chunks(1024 * 1024)
        .map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec()));
    let chunks: Vec<_> = chunks.collect();
    let chunked = reqwest::Body::wrap_stream(tokio_stream::iter(chunks));
    for (request, expected) in [
        (post().body("{}"), 415),
        (post().header("content-type", "text/plain").body("{}"), 415),
        (typed().header("content-encoding", "gzip").body("{}"), 415),
        (typed().body("{\"model\":"), 400),
        (typed().body(vec![0xff, 0xfe]), 400),
        (typed().body(chunked), 413),
    ] {
        let (status, error) = error(request.send().await.unwrap()).await;
        assert_eq!(status, expected, "{error}");
    }
    // Refused by its head alone.
    let announced = typed().header("content-length", large.len()).body(large);
    if let Ok(response) = announced.send().await {
        assert_eq!(response.status(), 413);
    }
}

#[tokio::test]
async fn handlers_use_the_clients_error_format() {
    let server = TestServer::start().await;
    let request = server.request(Method::POST, CHAT).bearer_auth(FULL_KEY);
    let request = request.header("accept", "application/problem+json");
    let response = request.json(&json!({})).send().await.unwrap();
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["status"], 400);
}
