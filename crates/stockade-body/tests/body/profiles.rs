//! The other profiles: usual requests pass, expensive ones do not.

use serde_json::{Value, json};
use stockade_body::{ImageFormat, ImageRules, Profile};

use crate::support::{self, GIF};

async fn validate(profile: fn() -> Profile, cases: Vec<(Value, &str)>) {
    for (body, expected) in cases {
        let text = body.to_string();
        assert_eq!(
            support::json(profile(), text.clone()).await.code(),
            expected,
            "{text}"
        );
    }
}

fn long() -> String {
    "x".repeat(10_001)
}

#[tokio::test]
async fn openai_completions() {
    validate(
        Profile::openai_completions,
        vec![
            (
                json!({"model": "m", "prompt": "hi", "max_tokens": 5, "logprobs": 3}),
                "passed",
            ),
            (
                json!({"model": "m", "prompt": ["a", "b"], "best_of": 2}),
                "passed",
            ),
            (json!({"model": "m", "prompt": [1, 2, 3]}), "passed"),
            (json!({"model": "m", "prompt": [[1, 2], [3]]}), "passed"),
            (json!({"model": "m"}), "VALIDATION_ERROR"),
            (json!({"model": "m", "prompt": long()}), "PROMPT_TOO_LONG"),
            (
                json!({"model": "m", "prompt": vec![1; 2_501]}),
                "PROMPT_TOO_LONG",
            ),
            (
                json!({"model": "m", "prompt": [vec![1; 2_501]]}),
                "PROMPT_TOO_LONG",
            ),
            (json!({"model": "m", "prompt": [-1]}), "VALUE_OUT_OF_RANGE"),
            (
                json!({"model": "m", "prompt": "", "prompt_embeds": "AAAA"}),
                "UNSUPPORTED_CONTENT",
            ),
            (
                json!({"model": "m", "prompt": "", "logprobs": 1_000_000}),
                "VALUE_OUT_OF_RANGE",
            ),
            (
                json!({"model": "m", "prompt": "", "best_of": 1_000_000_000}),
                "VALUE_OUT_OF_RANGE",
            ),
            (
                json!({"model": "m", "prompt": {"a": 1}}),
                "VALIDATION_ERROR",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn openai_embeddings() {
    validate(
        Profile::openai_embeddings,
        vec![
            (
                json!({"model": "m", "input": "hi", "encoding_format": "base64"}),
                "passed",
            ),
            (
                json!({"model": "m", "input": ["a", "b"], "dimensions": 256}),
                "passed",
            ),
            (json!({"model": "m", "input": [[1, 2], [3]]}), "passed"),
            (json!({"model": "m", "input": long()}), "PROMPT_TOO_LONG"),
            (
                json!({"model": "m", "input": "", "dimensions": 1e9}),
                "VALUE_OUT_OF_RANGE",
            ),
            (
                json!({"model": "m", "input": "", "messages": []}),
                "UNSUPPORTED_CONTENT",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn openai_responses() {
    let item = |item: Value| json!({"model": "m", "input": [item]});
    let part = |part: Value| item(json!({"role": "user", "content": [part]}));
    let gif = format!("data:image/gif;base64,{GIF}");
    validate(
        Profile::openai_responses,
        vec![
            (
                json!({"model": "m", "input": "hi", "instructions": "Be brief."}),
                "passed",
            ),
            (part(json!({"type": "input_text", "text": "hi"})), "passed"),
            (
                part(json!({"type": "output_text", "text": "{}", "parsed": {"x": 1}})),
                "passed",
            ),
            (
                part(json!({"type": "output_text", "text": "{}", "parsed": {"x": long()}})),
                "PROMPT_TOO_LONG",
            ),
            (
                part(json!({"type": "input_image", "image_url": gif, "detail": "auto"})),
                "passed",
            ),
            (
                item(json!({"type": "function_call_output", "call_id": "c", "output": "1"})),
                "passed",
            ),
            (
                part(json!({"type": "input_image", "image_url": "https://example.com"})),
                "REMOTE_IMAGE",
            ),
            (
                part(json!({"type": "input_image", "file_id": "f"})),
                "UNSUPPORTED_CONTENT",
            ),
            (
                part(json!({"type": "input_file", "file_url": "f"})),
                "UNSUPPORTED_CONTENT",
            ),
            (
                part(json!({"type": "input_text", "text": long()})),
                "PROMPT_TOO_LONG",
            ),
            (
                item(json!({"type": "computer_call_output"})),
                "UNSUPPORTED_CONTENT",
            ),
            (
                json!({"model": "m", "input": "", "instructions": long()}),
                "PROMPT_TOO_LONG",
            ),
            (
                json!({"model": "m", "input": "", "tools": [{"type": "mcp", "server_url": "x"}]}),
                "UNSUPPORTED_CONTENT",
            ),
            (
                json!({"model": "m", "input": "", "max_output_tokens": 1e9}),
                "VALUE_OUT_OF_RANGE",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn anthropic_messages() {
    let part = |part: Value| json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": [part]}]});
    let source = |media_type: &str, data: &str| {
        part(json!({
            "type": "image",
            "source": {"type": "base64", "media_type": media_type, "data": data},
        }))
    };
    let result = |content: Value| {
        part(json!({"type": "tool_result", "tool_use_id": "t", "content": content}))
    };
    let remote = json!({"type": "image", "source": {"type": "url", "url": "https://example.com"}});
    validate(
        Profile::anthropic_messages,
        vec![
            (part(json!({"type": "text", "text": "hi"})), "passed"),
            (source("image/gif", GIF), "passed"),
            (
                part(json!({"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}})),
                "passed",
            ),
            (result(json!("42")), "passed"),
            (result(json!([{"type": "text", "text": "42"}])), "passed"),
            (
                json!({"model": "m", "max_tokens": 5, "messages": [], "system": [
                    {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}},
                ]}),
                "passed",
            ),
            (json!({"model": "m", "messages": []}), "VALIDATION_ERROR"),
            (source("image/png", GIF), "passed"),
            (source("image/jpg", GIF), "passed"),
            (source("image/tiff", GIF), "UNSUPPORTED_IMAGE"),
            (source("image/gif", "R0lG"), "UNSUPPORTED_IMAGE"),
            (part(remote.clone()), "REMOTE_IMAGE"),
            (result(json!([remote])), "REMOTE_IMAGE"),
            (part(json!({"type": "document"})), "UNSUPPORTED_CONTENT"),
            (
                result(json!([{"type": "tool_result"}])),
                "UNSUPPORTED_CONTENT",
            ),
            (
                part(json!({"type": "text", "text": long()})),
                "PROMPT_TOO_LONG",
            ),
            (
                part(json!({"type": "tool_use", "input": {"deep": [long()]}})),
                "PROMPT_TOO_LONG",
            ),
            (
                json!({"model": "m", "max_tokens": 5, "messages": [], "mcp_servers": []}),
                "UNSUPPORTED_CONTENT",
            ),
        ],
    )
    .await;
    let reversed = format!(
        r#"{{"model":"m","max_tokens":5,"messages":[{{"content":[{{"type":"image","source":{{"data":"{GIF}","type":"base64","media_type":"image/webp"}}}}]}}]}}"#
    );
    // FH10: the type may precede or follow the data, and does not decide.
    for body in [source("image/webp", GIF).to_string(), reversed] {
        let passed = support::json(Profile::anthropic_messages(), body.clone()).await;
        let passed = passed.passed();
        assert_eq!(passed.demand.unwrap().relabelled_images, 1);
        let info = *passed.images.unwrap().as_slice()[0].info();
        assert_eq!(info.format, ImageFormat::Gif);

        let strict = Profile::anthropic_messages().images(ImageRules::default().strict());
        let refused = support::json(strict, body).await.refused();
        assert_eq!(refused.code, "INVALID_IMAGE");
        assert_eq!(
            refused.param.as_deref(),
            Some("messages[0].content[0].source")
        );
    }
}

#[tokio::test]
async fn ollama_chat() {
    let message = |message: Value| json!({"model": "m", "messages": [message]});
    let options = |options: Value| json!({"model": "m", "messages": [], "options": options});
    validate(
        Profile::ollama_chat,
        vec![
            (
                message(json!({"role": "user", "content": "hi", "images": [GIF]})),
                "passed",
            ),
            (
                options(json!({"num_predict": 5, "temperature": 0.1, "stop": ["a"]})),
                "passed",
            ),
            (
                json!({"model": "m", "messages": [], "stream": false, "format": "json"}),
                "passed",
            ),
            (
                message(json!({"content": "hi", "images": ["AAAA"]})),
                "UNSUPPORTED_IMAGE",
            ),
            (
                message(json!({"content": "hi", "images": ["/etc/passwd"]})),
                "INVALID_IMAGE",
            ),
            (message(json!({"images": vec![GIF; 9]})), "TOO_MANY_IMAGES"),
            (message(json!({"content": long()})), "PROMPT_TOO_LONG"),
            (options(json!({"num_predict": -1})), "VALUE_OUT_OF_RANGE"),
            (options(json!({"num_ctx": 1e9})), "VALUE_OUT_OF_RANGE"),
            (
                options(json!({"num_thread": 1_000_000})),
                "UNSUPPORTED_CONTENT",
            ),
            // Ollama matches names case-insensitively.
            (
                json!({"model": "m", "messages": [], "Model": "n"}),
                "VALIDATION_ERROR",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn ollama_generate() {
    validate(
        Profile::ollama_generate,
        vec![
            (
                json!({"model": "m", "prompt": "hi", "images": [GIF], "context": [1, 2]}),
                "passed",
            ),
            (json!({"model": "m", "prompt": long()}), "PROMPT_TOO_LONG"),
            (json!({"model": "m", "system": long()}), "PROMPT_TOO_LONG"),
            (
                json!({"model": "m", "template": "{{ .Prompt }}"}),
                "UNSUPPORTED_CONTENT",
            ),
            (json!({"model": "m", "images": [GIF, "x"]}), "INVALID_IMAGE"),
        ],
    )
    .await;
}

#[tokio::test]
async fn image_json() {
    let image = |image: Value| json!({"type": "image", "image": image});
    validate(
        Profile::image_json,
        vec![
            (image(json!({"b64": GIF})), "passed"),
            (
                image(json!({"b64": GIF, "media_type": "image/gif"})),
                "passed",
            ),
            (
                image(json!({"b64": GIF, "media_type": "image/png"})),
                "passed",
            ),
            (
                image(json!({"b64": GIF, "url": "https://example.com"})),
                "UNSUPPORTED_CONTENT",
            ),
            (image(json!({})), "VALIDATION_ERROR"),
            (image(json!({"b64": null})), "VALIDATION_ERROR"),
            (image(json!({"b64": "/etc/passwd"})), "INVALID_IMAGE"),
            (
                json!({"type": "video", "image": {"b64": GIF}}),
                "UNSUPPORTED_CONTENT",
            ),
        ],
    )
    .await;
}

// B07
#[tokio::test]
async fn limits_priority_to_1_to_10() {
    let image = json!({"type": "image", "image": {"b64": GIF}});
    let chat = json!({"model": "tiny", "messages": []});
    let anthropic = json!({"model": "tiny", "messages": [], "max_tokens": 1});
    let prompt = json!({"model": "tiny", "prompt": "x"});
    let input = json!({"model": "tiny", "input": "x"});
    for (profile, body) in [
        (Profile::openai_chat(), &chat),
        (Profile::openai_completions(), &prompt),
        (Profile::openai_embeddings(), &input),
        (Profile::openai_responses(), &input),
        (Profile::anthropic_messages(), &anthropic),
        (Profile::ollama_chat(), &chat),
        (Profile::ollama_generate(), &prompt),
        (Profile::image_json(), &image),
    ] {
        for (priority, code) in [
            (json!(1), "passed"),
            (json!(10), "passed"),
            (json!(0), "VALUE_OUT_OF_RANGE"),
            (json!(11), "VALUE_OUT_OF_RANGE"),
            (json!("high"), "VALIDATION_ERROR"),
        ] {
            let mut body = body.clone();
            body["priority"] = priority;
            let outcome = support::json(profile.clone(), body.to_string()).await;
            assert_eq!(outcome.code(), code, "{body}");
        }
    }
}

// B07, B10
#[tokio::test]
async fn counts_and_measures_tools() {
    let chat = json!({"model": "tiny", "messages": [], "max_tokens": 1});
    let input = json!({"model": "tiny", "input": "x"});
    for (profile, body) in [
        (Profile::openai_chat(), &chat),
        (Profile::openai_responses(), &input),
        (Profile::anthropic_messages(), &chat),
        (Profile::ollama_chat(), &chat),
    ] {
        for (tools, code) in [
            (json!(vec![json!({}); 128]), "passed"),
            (json!(vec![json!({}); 129]), "TOO_MANY_ITEMS"),
            (json!([{"description": "x".repeat(255 << 10)}]), "passed"),
            (
                json!([{"description": "x".repeat(256 << 10)}]),
                "VALUE_TOO_LONG",
            ),
        ] {
            let mut body = body.clone();
            body["tools"] = tools;
            let outcome = support::json(profile.clone(), body.to_string()).await;
            assert_eq!(outcome.code(), code);
        }
    }
}
