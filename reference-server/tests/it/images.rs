//! Images of chats, in all dialects.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::test_server::{FULL_KEY, TestServer, chat_body, events, png_of};

/// The dialects that take images: the route, and the content of a message with these parts.
const ROUTES: [&str; 3] = ["/v1/chat/completions", "/v1/responses", "/v1/messages"];

enum Part<'a> {
    Text(&'a str),
    /// A square image with this side.
    Image(u32),
}

/// A request of a dialect with the parts of one message.
fn body(route: &str, parts: &[Part<'_>], fields: Value) -> Value {
    let part = |part: &Part<'_>| match (route, part) {
        ("/v1/responses", Part::Text(text)) => json!({"type": "input_text", "text": text}),
        (_, Part::Text(text)) => json!({"type": "text", "text": text}),
        (_, Part::Image(side)) => {
            let data = png_of(*side, [255, 0, 0]);
            let url = format!("data:image/png;base64,{data}");
            match route {
                "/v1/responses" => json!({"type": "input_image", "image_url": url}),
                "/v1/messages" => json!({"type": "image", "source":
                    {"type": "base64", "media_type": "image/png", "data": data}}),
                _ => json!({"type": "image_url", "image_url": {"url": url}}),
            }
        }
    };
    let content: Vec<Value> = parts.iter().map(part).collect();
    let mut body = chat_body(Value::from(content), fields);
    if route == "/v1/responses" {
        let fields = body.as_object_mut().unwrap();
        let messages = fields.remove("messages").unwrap();
        fields.insert("input".to_owned(), messages);
        fields.remove("max_tokens");
        fields.insert("max_output_tokens".to_owned(), json!(16));
    }
    body
}

async fn post(server: &TestServer, route: &str, body: &Value) -> Response {
    let request = server.request(Method::POST, route).json(body);
    request.bearer_auth(FULL_KEY).send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    let value = response.headers().get(name);
    value.map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn the_sizes_that_the_model_sees_are_in_a_header() {
    let server = TestServer::start().await;
    let parts = [Part::Text("a"), Part::Image(120), Part::Image(57)];
    for route in ROUTES {
        for is_stream in [false, true] {
            let body = body(route, &parts, json!({"stream": is_stream}));
            let response = post(&server, route, &body).await;
            assert_eq!(response.status(), 200, "{route}");
            let sizes = header(&response, "x-stockade-image-size");
            assert_eq!(sizes, Some("112x112, 56x56"), "{route} {is_stream}");
            assert_eq!(header(&response, "x-stockade-dropped-images"), None);
            assert_eq!(header(&response, "x-stockade-coordinates"), None);
        }
        let text = body(route, &[Part::Text("a")], json!({}));
        let response = post(&server, route, &text).await;
        assert_eq!(header(&response, "x-stockade-image-size"), None);
    }
}

#[tokio::test]
async fn the_usage_has_the_image_tokens() {
    let server = TestServer::start().await;
    let parts = [Part::Image(112), Part::Text("a")];
    let chat = body(ROUTES[0], &parts, json!({}));
    let answer: Value = server.chat(&chat).await.json().await.unwrap();
    let details = &answer["usage"]["prompt_tokens_details"];
    assert_eq!(details["image_tokens"], 16);
    let seen = json!({"images": [{"width": 112, "height": 112}], "coordinates": "model"});
    assert_eq!(answer["stockade"], seen);

    let options = json!({"stream": true, "stream_options": {"include_usage": true}});
    let stream = server.chat(&body(ROUTES[0], &parts, options)).await;
    let stream = stream.text().await.unwrap();
    let events = events(&stream);
    let last: Value = serde_json::from_str(events[events.len() - 2]).unwrap();
    assert_eq!(last["usage"]["prompt_tokens_details"], *details);
    assert_eq!(last["stockade"], seen);
    assert_eq!(stream.matches("\"stockade\"").count(), 1);

    let responses = body(ROUTES[1], &parts, json!({}));
    let answer: Value = post(&server, ROUTES[1], &responses)
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(answer["usage"]["input_tokens_details"]["image_tokens"], 16);

    let answer: Value = server.chat_with(json!({})).await.json().await.unwrap();
    assert_eq!(
        answer["usage"]["prompt_tokens_details"],
        json!({"cached_tokens": 0})
    );
    assert_eq!(answer.get("stockade"), None);
}

#[tokio::test]
async fn a_request_asks_for_other_sizes() {
    let server = TestServer::with_model("max_pixels = 50176\n").await;
    let models: Value = server.get("/v1/models").await.json().await.unwrap();
    let rule = &models["data"][0]["stockade"]["images"];
    assert_eq!(
        (&rule["factor"], &rule["min_pixels"], &rule["max_pixels"]),
        (&json!(28), &json!(3_136), &json!(50_176))
    );
    for route in ROUTES {
        let ask = async |kwargs: Value| {
            let body = body(
                route,
                &[Part::Image(448), Part::Text("a")],
                json!({"mm_processor_kwargs": kwargs}),
            );
            post(&server, route, &body).await
        };
        let whole = ask(json!({})).await;
        assert_eq!(header(&whole, "x-stockade-image-size"), Some("224x224"));
        assert_eq!(header(&whole, "x-stockade-ignored"), None);
        let smaller = ask(json!({"max_pixels": 12_544})).await;
        assert_eq!(header(&smaller, "x-stockade-image-size"), Some("112x112"));
        for (kwargs, param) in [
            (
                json!({"max_pixels": 50_177}),
                "mm_processor_kwargs.max_pixels",
            ),
            (json!({"max_pixel": 7}), "mm_processor_kwargs.max_pixel"),
        ] {
            let refused = ask(kwargs).await;
            assert_eq!(refused.status(), 400);
            let error: Value = refused.json().await.unwrap();
            let named = error["error"]["param"].as_str().unwrap();
            assert!(param.starts_with(named), "{route}: {error}");
        }
    }
}

#[tokio::test]
async fn older_images_are_dropped_if_the_operator_permits_it() {
    let server = TestServer::with_model("older_images = \"drop\"\n").await;
    let parts = [56, 84, 112].map(Part::Image);
    for route in ROUTES {
        for is_stream in [false, true] {
            let body = body(route, &parts, json!({"stream": is_stream}));
            let response = post(&server, route, &body).await;
            assert_eq!(response.status(), 200, "{route}");
            assert_eq!(header(&response, "x-stockade-dropped-images"), Some("1"));
            let sizes = header(&response, "x-stockade-image-size");
            assert_eq!(sizes, Some("84x84, 112x112"), "{route}");
        }
    }
}

#[tokio::test]
async fn the_order_of_text_and_images_is_that_of_the_request() {
    let server = TestServer::start().await;
    let orders: [[Part<'_>; 3]; 2] = [
        [Part::Text("before"), Part::Image(56), Part::Text("after")],
        [Part::Image(56), Part::Text("before"), Part::Text("after")],
    ];
    let answer = async |route: &str, parts: &[Part<'_>]| {
        let fields = json!({"temperature": 1, "top_k": 40, "seed": 4, "max_tokens": 16});
        let mut request = body(route, parts, fields);
        if route != ROUTES[0] {
            // The other dialects have no seed.
            request.as_object_mut().unwrap().remove("seed");
        }
        let answer: Value = post(&server, route, &request).await.json().await.unwrap();
        let text = match route {
            "/v1/responses" => &answer["output"][0]["content"][0]["text"],
            "/v1/messages" => &answer["content"][0]["text"],
            _ => &answer["choices"][0]["message"]["content"],
        };
        let tokens = match route {
            "/v1/chat/completions" => &answer["usage"]["prompt_tokens"],
            _ => &answer["usage"]["input_tokens"],
        };
        (
            text.as_str()
                .unwrap_or_else(|| panic!("{answer}"))
                .to_owned(),
            tokens.clone(),
        )
    };
    let mut tokens = Vec::new();
    for parts in &orders {
        let mut counts = Vec::new();
        for route in ROUTES {
            counts.push(answer(route, parts).await.1);
        }
        // One line break more between the texts of the second order, in each dialect.
        assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
        tokens.push(counts[0].as_u64().unwrap());
    }
    assert_eq!(tokens[0] + 1, tokens[1]);
    let [first, second] = orders;
    let chat = ROUTES[0];
    assert_ne!(answer(chat, &first).await.0, answer(chat, &second).await.0);
}

#[tokio::test]
async fn coordinates_are_mapped_to_the_original_image() {
    let lines = "coordinates = \"original\"\nmax_pixels = 50176\n";
    let server = TestServer::with_model(lines).await;
    let schema = json!({"type": "object", "required": ["x", "n"], "additionalProperties": false,
        "properties": {"x": {"type": "integer", "minimum": 100, "maximum": 199},
            "n": {"type": "integer", "minimum": 100, "maximum": 199}}});
    let fields = |is_stream| {
        json!({"stream": is_stream, "max_tokens": 60, "temperature": 1, "seed": 3,
            "response_format": {"type": "json_schema", "json_schema":
                {"name": "click", "strict": true, "schema": schema}}})
    };
    let ask = async |side: u32, is_stream: bool| {
        let body = body(ROUTES[0], &[Part::Image(side)], fields(is_stream));
        let response = server.chat(&body).await;
        assert_eq!(
            header(&response, "x-stockade-coordinates"),
            Some("original")
        );
        assert_eq!(header(&response, "x-stockade-image-size"), Some("224x224"));
        let text = response.text().await.unwrap();
        let content = |choice: &Value, name: &str| {
            let text = choice[name]["content"].as_str();
            text.unwrap_or_default().to_owned()
        };
        let json: String = match is_stream {
            false => {
                let answer: Value = serde_json::from_str(&text).unwrap();
                content(&answer["choices"][0], "message")
            }
            true => {
                let chunks = events(&text).into_iter().filter(|event| *event != "[DONE]");
                let chunks = chunks.map(|chunk| serde_json::from_str(chunk).unwrap());
                let texts = chunks.map(|chunk: Value| content(&chunk["choices"][0], "delta"));
                texts.collect()
            }
        };
        let answer: Value = serde_json::from_str(&json).unwrap_or_else(|_| panic!("{json}"));
        (answer["x"].as_u64().unwrap(), answer["n"].as_u64().unwrap())
    };
    let (x, n) = ask(224, false).await;
    assert_eq!(ask(224, true).await, (x, n));
    for is_stream in [false, true] {
        assert_eq!(ask(448, is_stream).await, (2 * x, n));
    }
}
