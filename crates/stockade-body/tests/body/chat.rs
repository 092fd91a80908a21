//! The rules of OpenAI's chat profile.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use proptest::prelude::*;
use serde_json::{Value, json};
use stockade_body::{ImageFormat, ImageRules, Profile, Rule};
use stockade_core::identity::Principal;

use crate::support::{self, GIF, Outcome};

async fn chat(body: impl Into<Bytes>) -> Outcome {
    support::json(Profile::openai_chat(), body).await
}

/// A chat of one text with an additional member.
fn with(member: &str, value: &str) -> String {
    let rest = r#""model":"tiny","messages":[{"role":"user","content":"hi"}]"#;
    format!("{{{rest},\"{member}\":{value}}}")
}

/// A chat of these parts.
fn parts(parts: &Value) -> String {
    json!({"model": "tiny", "messages": [{"role": "user", "content": parts}]}).to_string()
}

fn image(url: &str) -> String {
    parts(&json!([{"type": "image_url", "image_url": {"url": url}}]))
}

#[tokio::test]
async fn accepts_usual_requests() {
    let data_url = format!("data:image/gif;base64,{GIF}");
    for body in [
        json!({"model": "tiny", "messages": []}),
        json!({"model": "tiny", "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "name": "ann", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": data_url, "detail": "low"}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "42"},
        ],
            "max_tokens": null, "max_completion_tokens": 100, "temperature": 0, "top_p": 1.0,
            "n": 1, "stop": ["a", "b"], "stream": true, "stream_options": {"include_usage": true},
            "logit_bias": {"50256": -100}, "user": "u", "seed": -1, "priority": 5,
            "response_format": {"type": "json_object"}, "logprobs": true, "top_logprobs": 3,
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
            "audio": null, "something_new": {"a": [1, 2, {"b": null}]},
        }),
        json!({"model": "tiny", "stop": "x", "messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": data_url}]},
        ]}),
    ] {
        let text = body.to_string();
        let passed = chat(text.clone()).await.passed();
        assert_eq!(passed.body, text);
    }
}

#[tokio::test]
async fn passes_on_the_validated_bytes() {
    let body = Bytes::from(with("user", "\"x\""));
    let passed = chat(body.clone()).await.passed();
    assert_eq!(passed.body.as_ptr(), body.as_ptr());
}

// B07
#[tokio::test]
async fn refuses_values_out_of_range_with_their_path() {
    for (member, values) in [
        ("n", &["1e9", "1000000000", "0", "-1", "1.0", "9"][..]),
        ("best_of", &["1000000000", "0"]),
        (
            "max_tokens",
            &["-1", "0", "1000000000000000000", "1e18", "1e3", "8193"],
        ),
        (
            "max_tokens",
            &["18446744073709551616", "-9223372036854775809"],
        ),
        ("max_completion_tokens", &["-1", "8193"]),
        ("temperature", &["2.1", "-0.1", "1e300", "-1e300"]),
        ("top_p", &["1.0001", "-1"]),
        ("top_logprobs", &["1000000", "21", "-1"]),
        ("presence_penalty", &["3", "-3"]),
        ("priority", &["0", "11", "-1", "1e1"]),
        ("seed", &["9223372036854775808", "0.5"]),
        ("min_tokens", &["1000000000"]),
        ("prompt_logprobs", &["1000000"]),
        ("anything", &["1e400", "-1e400", "1e999999999999"]),
    ] {
        for value in values {
            let refused = chat(with(member, value)).await.refused();
            let found = (refused.status, &*refused.code);
            assert_eq!(found, (400, "VALUE_OUT_OF_RANGE"), "{member}: {value}");
            let param = refused.param.as_deref();
            assert_eq!(param, (member != "anything").then_some(member));
        }
    }
}

#[tokio::test]
async fn refuses_values_of_another_kind() {
    for (member, value) in [
        ("max_tokens", "\"5\""),
        ("max_tokens", "true"),
        ("temperature", "[]"),
        ("stream", "\"true\""),
        ("stop", "5"),
        ("stop", "{}"),
        ("tools", "{}"),
        ("logprobs", "1000000"),
    ] {
        let refused = chat(with(member, value)).await.refused();
        assert_eq!((refused.status, &*refused.code), (400, "VALIDATION_ERROR"));
        assert_eq!(refused.param.as_deref(), Some(member), "{value}");
    }
}

// B07, B10
#[tokio::test]
async fn refuses_excess_of_every_kind() {
    let strings = |count: usize| format!("[{}]", vec!["\"x\""; count].join(","));
    let messages = |count: usize| {
        let messages = vec![r#"{"role":"user","content":""}"#; count].join(",");
        format!(r#"{{"model":"tiny","messages":[{messages}]}}"#)
    };
    let text = json!({"type": "text", "text": ""});
    let gif = json!({
        "type": "image_url",
        "image_url": {"url": format!("data:image/gif;base64,{GIF}")},
    });
    let long = format!("\"{}\"", "x".repeat(300));
    let large = format!("[{{\"description\":\"{}\"}}]", "x".repeat(300 << 10));
    for (body, code, param) in [
        (
            with("stop", &strings(1_000_000)),
            "TOO_MANY_ITEMS",
            "stop[16]",
        ),
        (with("stop", &long), "VALUE_TOO_LONG", "stop"),
        (
            with("tools", &format!("[{}]", vec!["{}"; 129].join(","))),
            "TOO_MANY_ITEMS",
            "tools[128]",
        ),
        (with("tools", &large), "VALUE_TOO_LONG", "tools"),
        (messages(1_000), "passed", ""),
        (messages(500_000), "TOO_MANY_ITEMS", "messages[1000]"),
        (
            parts(&vec![text; 100_000].into()),
            "TOO_MANY_ITEMS",
            "messages[0].content[100]",
        ),
        (parts(&vec![gif.clone(); 8].into()), "passed", ""),
        (
            parts(&vec![gif; 9].into()),
            "TOO_MANY_IMAGES",
            "messages[0].content[8].image_url.url",
        ),
    ] {
        match chat(body).await {
            Outcome::Passed(_) => assert_eq!("passed", code),
            Outcome::Refused(refused) => {
                assert_eq!(
                    (&*refused.code, refused.param.as_deref()),
                    (code, Some(param))
                );
            }
        }
    }
}

// B10
#[tokio::test]
async fn refuses_images_that_are_too_large_together() {
    let gif = json!({
        "type": "image_url",
        "image_url": {"url": format!("data:image/gif;base64,{GIF}")},
    });
    // The image has 43 bytes.
    let profile = Profile::openai_chat().max_image_bytes(86);
    let two = support::json(profile.clone(), parts(&vec![gif.clone(); 2].into())).await;
    assert_eq!(two.code(), "passed");
    let three = support::json(profile, parts(&vec![gif; 3].into()))
        .await
        .refused();
    assert_eq!((three.status, &*three.code), (413, "IMAGE_TOO_LARGE"));
}

#[tokio::test]
async fn counts_the_characters_of_every_prompt_text() {
    let profile = || Profile::openai_chat().max_prompt_chars(10);
    let message = |message: Value| json!({"model": "m", "messages": [message]}).to_string();
    for (body, code) in [
        (
            message(json!({"role": "user", "content": "1234567890"})),
            "passed",
        ),
        (
            message(json!({"role": "user", "content": "12345678901"})),
            "PROMPT_TOO_LONG",
        ),
        // Ten characters of two, three and four bytes.
        (message(json!({"content": "ääääää€€€😀"})), "passed"),
        (
            message(json!({"content": "ääääää€€€😀ä"})),
            "PROMPT_TOO_LONG",
        ),
        // Escaped characters count as one each.
        (
            r#"{"model":"m","messages":[{"content":"\n\t\"\\\u00e4\ud83d\ude001234"}]}"#.to_owned(),
            "passed",
        ),
        (
            r#"{"model":"m","messages":[{"content":"\n\t\"\\\u00e4\ud83d\ude0012345"}]}"#
                .to_owned(),
            "PROMPT_TOO_LONG",
        ),
        // All parts together, also in members without a rule.
        (
            message(json!({"content": [
                {"type": "text", "text": "12345"}, {"type": "text", "text": "678901"},
            ]})),
            "PROMPT_TOO_LONG",
        ),
        (
            message(json!({"reasoning_content": "12345678901"})),
            "PROMPT_TOO_LONG",
        ),
        (
            message(json!({"x": {"y": [["12345678901"]]}})),
            "PROMPT_TOO_LONG",
        ),
        (
            message(json!({"tool_calls": [{"function": {"arguments": "12345678901"}}]})),
            "PROMPT_TOO_LONG",
        ),
    ] {
        let found = support::json(profile(), body.clone()).await.code();
        assert_eq!(found, code, "{body}");
    }
}

#[tokio::test]
async fn limits_principals_to_their_models() {
    let profile = || Profile::openai_chat().models(["tiny", "large"]);
    let body = |model: &str| format!(r#"{{"model":"{model}","messages":[]}}"#);
    let theirs = |models: &[&str]| {
        let models = models.iter().map(|model| Box::from(*model));
        Principal::builder("ann").models(models).build()
    };
    let none = Principal::builder("bob").build();
    for (principal, model, passes) in [
        (theirs(&["tiny"]), "tiny", true),
        (theirs(&["tiny"]), r"t\u0069ny", true),
        (theirs(&["tiny"]), "large", false),
        (theirs(&["other"]), "other", false),
        (none.clone(), "large", true),
        (none.clone(), "Tiny", false),
        (none.clone(), "tiny ", false),
        (none, "", false),
    ] {
        match support::json_by(principal, profile(), body(model)).await {
            Outcome::Passed(_) => assert!(passes, "{model}"),
            Outcome::Refused(refused) => {
                assert!(!passes, "{model}");
                assert_eq!((refused.status, &*refused.code), (403, "MODEL_NOT_ALLOWED"));
            }
        }
    }
    let nameless = support::json(profile(), r#"{"messages":[]}"#)
        .await
        .refused();
    assert_eq!(nameless.code, "VALIDATION_ERROR");
    let null = support::json(profile(), r#"{"model":null,"messages":[]}"#).await;
    assert_eq!(null.refused().code, "VALIDATION_ERROR");
    // FH07
    for profile in [profile(), Profile::openai_chat()] {
        let endless = support::json(profile, body(&"m".repeat(257))).await;
        let endless = endless.refused();
        assert_eq!((endless.status, &*endless.code), (404, "MODEL_NOT_FOUND"));
    }
}

// FH07
#[tokio::test]
async fn null_counts_as_an_absent_member() {
    let chat = |messages: &str| format!(r#"{{"model":"m","messages":{messages}}}"#);
    let part = |part: &str| chat(&format!(r#"[{{"role":"user","content":[{part}]}}]"#));
    for (body, param) in [
        ("null".to_owned(), None),
        (chat("null"), Some("messages")),
        (chat("[null]"), Some("messages[0]")),
        (part("null"), Some("messages[0].content[0]")),
        (
            part(r#"{"type":null}"#),
            Some("messages[0].content[0].type"),
        ),
        (
            part(r#"{"type":"image_url","image_url":null}"#),
            Some("messages[0].content[0]"),
        ),
        (
            part(r#"{"image_url":null,"type":"image_url"}"#),
            Some("messages[0].content[0]"),
        ),
        (
            part(r#"{"type":"image_url"}"#),
            Some("messages[0].content[0]"),
        ),
        (
            part(r#"{"type":"image_url","image_url":{"url":null}}"#),
            Some("messages[0].content[0].image_url.url"),
        ),
        (
            part(r#"{"type":"text","text":null}"#),
            Some("messages[0].content[0]"),
        ),
        (
            part(r#"{"type":"te\u0078t","image_url":null}"#),
            Some("messages[0].content[0]"),
        ),
    ] {
        let refused = support::json(Profile::openai_chat(), body.clone()).await;
        let refused = refused.refused();
        assert_eq!((refused.status, &*refused.code), (400, "VALIDATION_ERROR"));
        assert_eq!(refused.param.as_deref(), param, "{body}");
    }
    for body in [
        chat(r#"[{"role":"assistant","content":null,"name":null}]"#),
        part(r#"{"type":"text","text":"a","image_url":null,"cache_control":null}"#),
        part(r#"{"image_url":null,"text":"","type":"text"}"#),
        r#"{"model":"m","messages":[],"stop":null,"tools":null,"x":null,"y":[null]}"#.to_owned(),
    ] {
        support::json(Profile::openai_chat(), body).await.passed();
    }
    // Without a rule, null is a document like others.
    support::json(Profile::json(), "null").await.passed();
    let listed = || Profile::json().rule("/a/*", Rule::Any);
    support::json(listed(), r#"{"a":[null]}"#).await.passed();
    support::json(listed(), "null").await.refused();
}

// An upstream may take the last duplicate, or a name in another case.
#[tokio::test]
async fn refuses_confusable_members() {
    for (body, code) in [
        (
            r#"{"model":"tiny","model":"big","messages":[]}"#,
            "DUPLICATE_KEY",
        ),
        (
            r#"{"model":"tiny","m\u006fdel":"big","messages":[]}"#,
            "DUPLICATE_KEY",
        ),
        (
            r#"{"model":"tiny","Model":"big","messages":[]}"#,
            "VALIDATION_ERROR",
        ),
        (
            r#"{"model":"tiny","messages":[],"meſſages":[]}"#,
            "VALIDATION_ERROR",
        ),
        (
            r#"{"m\u006fdel":"tiny","messages":[],"n":1000000}"#,
            "VALUE_OUT_OF_RANGE",
        ),
        (
            r#"{"model":"tiny","messages":[],"\u006e":1000000}"#,
            "VALUE_OUT_OF_RANGE",
        ),
        (r#"{"m\u006fdel":"tiny","messages":[]}"#, "passed"),
    ] {
        assert_eq!(chat(body).await.code(), code, "{body}");
    }
}

// I01, I03: nothing in this crate fetches
#[tokio::test]
async fn refuses_every_remote_image_with_the_same_answer() {
    let mut answers = Vec::new();
    for url in [
        "https://example.com/a.png",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "file:///nowhere",
        "/dev/zero",
        "/tmp/fifo",
        "ftp://example.com/a.png",
        "blob:https://example.com/1",
        "mistralrs-upload:1",
        " data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP",
        "DATA:image/gif;base64,R0lGODlhAQABAIAAAAAAAP",
        "",
    ] {
        answers.push(chat(image(url)).await.refused());
        let short = parts(&json!([{"type": "image_url", "image_url": url}]));
        assert_eq!(chat(short).await.refused().code, "REMOTE_IMAGE", "{url}");
    }
    assert_eq!(answers[0].code, "REMOTE_IMAGE");
    assert_eq!(answers[0].status, 400);
    assert_eq!(
        answers[0].param.as_deref(),
        Some("messages[0].content[0].image_url.url")
    );
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

// I04
#[tokio::test]
async fn accepts_canonical_image_urls_only() {
    for url in [
        format!("data:image/gif;charset=utf-8;base64,{GIF}"),
        format!("data:image/GIF;base64,{GIF}"),
        format!("data:image/gif;base64, {GIF}"),
        format!("data:image/gif;base64,{GIF}\n"),
        format!("data:image/gif;base64,%52{}", &GIF[1..]),
        format!("data:image/gif;base64,{}", &GIF[..GIF.len() - 4]),
        "data:image/gif;base64,".to_owned(),
        "data:image/gif,GIF89a".to_owned(),
    ] {
        let refused = chat(image(&url)).await.refused();
        assert!(
            matches!(&*refused.code, "INVALID_IMAGE" | "UNSUPPORTED_IMAGE"),
            "{url}: {refused:?}"
        );
    }
    for url in [
        format!("data:image/png;base64,{GIF}"),
        format!("data:image/jpg;base64,{GIF}"),
    ] {
        let strict = Profile::openai_chat().images(ImageRules::default().strict());
        let refused = support::json(strict, image(&url)).await.refused();
        assert!(refused.code.contains("IMAGE"), "{url}: {refused:?}");
    }
    let svg = chat(image("data:image/svg+xml;base64,PHN2Zy8+")).await;
    assert_eq!(svg.code(), "UNSUPPORTED_IMAGE");
    let png_only = Profile::openai_chat().images(ImageRules::default().formats([ImageFormat::Png]));
    let gif = support::json(png_only, image(&format!("data:image/gif;base64,{GIF}"))).await;
    assert_eq!(gif.code(), "UNSUPPORTED_IMAGE");
}

// FH10: the bytes decide, and the mismatch is reported.
#[tokio::test]
async fn detects_the_actual_type_of_images() {
    let cut = GIF.trim_end_matches('=');
    for (url, relabelled) in [
        (format!("data:image/gif;base64,{cut}"), 0),
        (format!("data:image/png;base64,{GIF}"), 1),
        (format!("data:image/jpg;base64,{GIF}"), 1),
    ] {
        let bare = parts(&json!([{"type": "image_url", "image_url": url}]));
        for body in [image(&url), bare] {
            let passed = chat(body).await.passed();
            let images = passed.images.unwrap();
            assert_eq!(images.as_slice()[0].info().format, ImageFormat::Gif);
            assert_eq!(
                passed.demand.unwrap().relabelled_images,
                relabelled,
                "{url}"
            );
        }
    }
}

#[tokio::test]
async fn passes_on_images_without_a_copy() {
    let body = Bytes::from(image(&format!("data:image/gif;base64,{GIF}")));
    let images = chat(body.clone()).await.passed().images.unwrap();
    let [image] = images.as_slice() else {
        panic!("{images:?}");
    };
    assert_eq!(image.info().format, ImageFormat::Gif);
    assert_eq!((image.info().width, image.info().height), (1, 1));
    assert!(image.bytes().starts_with(b"GIF89a"));
}

// PHP escapes each slash.
#[tokio::test]
async fn reads_escaped_images() {
    let body = image(&format!("data:image/gif;base64,{GIF}")).replace('/', "\\/");
    let images = chat(body.clone()).await.passed().images.unwrap();
    assert!(images.as_slice()[0].bytes().starts_with(b"GIF89a"));
    // Escapes do not hide anything.
    let remote = image("https://example.com/").replace('h', "\\u0068");
    assert_eq!(chat(remote).await.code(), "REMOTE_IMAGE");
}

#[tokio::test]
async fn refuses_parts_of_unknown_types_unless_allowed() {
    let audio = json!({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}});
    for part in [
        audio.clone(),
        json!({"type": "video_url", "video_url": {"url": "https://example.com"}}),
        json!({"type": "file", "file": {"file_id": "f"}}),
        // A known type with members that a server might read regardless.
        json!({"type": "text", "text": "", "video_url": {"url": "https://example.com"}}),
        json!({"type": "image_url", "image_url": {"url": "", "uuid": "u"}}),
    ] {
        let refused = chat(parts(&json!([part]))).await.refused();
        let known = part["type"] == "image_url";
        assert_eq!(refused.status, 400);
        assert!(
            refused.code == "UNSUPPORTED_CONTENT" || known,
            "{refused:?}"
        );
    }
    assert_eq!(
        chat(parts(&json!([{"text": "x"}]))).await.code(),
        "VALIDATION_ERROR"
    );

    let hears = Profile::openai_chat()
        .rule(
            "/messages/*/content/*/type",
            Rule::one_of(["text", "input_audio"]),
        )
        .rule("/messages/*/content/*/input_audio", Rule::Any);
    assert_eq!(
        support::json(hears, parts(&json!([audio]))).await.code(),
        "passed"
    );

    for member in ["chat_template", "mm_processor_kwargs", "audio"] {
        let refused = chat(with(member, "{}")).await.refused();
        assert_eq!(refused.code, "UNSUPPORTED_CONTENT");
        assert_eq!(refused.param.as_deref(), Some(member));
        let allows = Profile::openai_chat().rule(&format!("/{member}"), Rule::Any);
        assert_eq!(
            support::json(allows, with(member, "{}")).await.code(),
            "passed"
        );
    }
}

#[tokio::test]
async fn publishes_the_model_request() {
    let body = json!({
        "model": "tiny", "max_tokens": 100, "n": 3,
        "messages": [{"content": "12345678"}],
        "tools": [{"type": "function"}],
    })
    .to_string();
    let demand = chat(body).await.passed().demand.unwrap();
    assert_eq!(demand.model.as_deref(), Some("tiny"));
    // Eight characters with their template, and the 22 bytes of the tools, in thirds.
    assert_eq!(demand.prompt_tokens, (8 + 24 + 22_u64).div_ceil(3));
    assert_eq!(demand.max_tokens, Some(300));

    let gif = image(&format!("data:image/gif;base64,{GIF}"));
    let demand = chat(gif).await.passed().demand.unwrap();
    assert_eq!((demand.prompt_tokens, demand.max_tokens), (6, None));
}

// FA13
#[tokio::test]
async fn estimates_at_least_a_third_of_the_bytes() {
    let estimate = async |text: &str| {
        let body = json!({"model": "tiny", "messages": [{"content": text}]});
        let demand = chat(body.to_string()).await.passed().demand.unwrap();
        // The template adds eight.
        demand.prompt_tokens - 8
    };
    assert_eq!(estimate("Hello, world").await, 4);
    assert_eq!(estimate("Привет").await, 6);
    assert_eq!(estimate("こんにちは").await, 5);
    // The emoji of the report: 1,200 of them are 4,800 bytes.
    assert_eq!(estimate(&"🦀".repeat(1_200)).await, 4_800);
    for text in ["", "a", "a\nb\u{0}\"", "é", "€uro", "日本", "👩‍💻", "x🦀y"] {
        let bytes = text.len() as u64;
        assert!(3 * estimate(text).await >= bytes, "{text:?}");
    }
    // Python's default output.
    let escaped = format!(
        r#"{{"model":"tiny","messages":[{{"content":"{}"}}]}}"#,
        r"\ud83e\udd80".repeat(100)
    );
    let demand = chat(escaped).await.passed().demand.unwrap();
    assert_eq!(demand.prompt_tokens, 8 + 400);
}

#[tokio::test]
async fn refusals_never_contain_content() {
    let secret = "s3cr3t";
    for body in [
        format!(r#"{{"model":"{secret}","messages":[]}}"#),
        format!(r#"{{"model":"tiny","messages":[],"{secret}":1,"{secret}":2}}"#),
        format!(r#"{{"model":"tiny","messages":[],"{secret}":[1e999]}}"#),
        format!(r#"{{"model":"tiny","messages":[{{"{secret}":{{"a":}}}}]}}"#),
        secret.to_owned(),
        image(secret),
        image(&format!("data:image/{secret};base64,AAAA")),
        parts(&json!([{"type": secret}])),
        parts(&json!([{"type": "text", secret: secret}])),
        with("temperature", &format!("\"{secret}\"")),
        with("stop", &format!("\"{}\"", secret.repeat(100))),
    ] {
        let profile = Profile::openai_chat().models(["tiny"]);
        let refused = support::json(profile, body).await.refused();
        assert!(!format!("{refused:?}").contains(secret), "{refused:?}");
    }
}

// B05
#[tokio::test]
async fn refuses_deep_bodies_without_recursion() {
    for body in [vec![b'['; 100_000], "{\"a\":".repeat(100_000).into_bytes()] {
        let refused = chat(body).await.refused();
        assert_eq!(refused.status, 400);
    }
    let deep = format!("{}{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    assert_eq!(chat(with("x", &deep)).await.code(), "TOO_DEEP");
}

#[tokio::test]
async fn applies_custom_rules() {
    let search = || {
        Profile::json()
            .rule("", Rule::Closed)
            .rule("/query", Rule::Required)
            .rule("/query", Rule::MaxChars(5))
            .rule("/limit", Rule::Integer(1, 100))
            .rule("/tags", Rule::MaxItems(2))
            .rule("/tags/*", Rule::one_of(["a", "b"]))
            .rule("/a~1b", Rule::Boolean)
    };
    for (body, code) in [
        (
            r#"{"query":"abcde","limit":100,"tags":["a","b"],"a/b":true}"#,
            "passed",
        ),
        (r#"{"query":"abcdef"}"#, "VALUE_TOO_LONG"),
        (r#"{"limit":1}"#, "VALIDATION_ERROR"),
        (r#"{"query":"","limit":101}"#, "VALUE_OUT_OF_RANGE"),
        (r#"{"query":"","tags":["a","b","a"]}"#, "TOO_MANY_ITEMS"),
        (r#"{"query":"","tags":["c"]}"#, "UNSUPPORTED_CONTENT"),
        (r#"{"query":"","other":1}"#, "UNSUPPORTED_CONTENT"),
        (r#"{"query":"","a\/b":1}"#, "VALIDATION_ERROR"),
        ("[]", "VALIDATION_ERROR"),
        ("\"query\"", "VALIDATION_ERROR"),
    ] {
        assert_eq!(support::json(search(), body).await.code(), code, "{body}");
    }
}

/// Chat bodies with mistakes.
fn nearly_chat() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        "-?[0-9]{1,12}(e[0-9]{1,3})?",
        "\"[a-z\\\\/:]{0,6}\"",
        Just(format!("\"data:image/gif;base64,{GIF}\"")),
        Just("{\"url\":\"data:image/png;base64,AAAA\"}".to_owned()),
        Just("[{\"type\":\"text\",\"text\":\"x\"}]".to_owned()),
        Just("[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]".to_owned()),
        Just("null".to_owned()),
        Just("{}".to_owned()),
    ];
    let name = prop_oneof![
        Just("model"),
        Just("messages"),
        Just("n"),
        Just("stop"),
        Just("Model"),
        Just("x"),
    ];
    let members = prop::collection::vec((name, value), 0..6);
    members.prop_map(|members| {
        let members: Vec<String> = members
            .into_iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        format!("{{{}}}", members.join(","))
    })
}

proptest! {
    // For any input: the handler receives the same bytes, they are JSON, and nothing panics.
    #[test]
    fn what_passes_is_json_and_unchanged(body in nearly_chat()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        if let Outcome::Passed(passed) = runtime.block_on(chat(body.clone())) {
            prop_assert_eq!(&passed.body, &body);
            prop_assert!(serde_json::from_str::<Value>(&body).is_ok());
        }
    }
}

/// A request without a media type.
#[tokio::test]
async fn refuses_bodies_that_are_not_declared_as_json() {
    let request = Request::post("/")
        .body(Full::from(with("user", "\"x\"")))
        .unwrap();
    let layer = support::layer(Profile::openai_chat());
    let refused = support::send(&layer, request).await.refused();
    assert_eq!(
        (refused.status, &*refused.code),
        (415, "UNSUPPORTED_MEDIA_TYPE")
    );
}
