//! Anthropic's API.

use super::{rule::Rule, table::at};

pub(super) fn messages() -> Vec<(String, Rule)> {
    let mut rules = at(
        "",
        [
            ("/model", Rule::Required),
            ("/model", Rule::Model),
            ("/max_tokens", Rule::Required),
            ("/max_tokens", Rule::MaxTokens),
            ("/messages", Rule::Required),
            ("/messages", Rule::Length(1_000)),
            ("/messages/*", Rule::Texts),
            ("/messages/*/role", Rule::Chars(32)),
            ("/system", Rule::Text),
            ("/system", Rule::Length(100)),
            ("/system/*", Rule::Closed),
            ("/system/*/type", Rule::one_of(["text"])),
            ("/system/*/type", Rule::needs([("text", "text")])),
            ("/system/*/text", Rule::Text),
            ("/system/*/cache_control", Rule::Any),
            ("/system/*/citations", Rule::Any),
            ("/stop_sequences", Rule::Length(16)),
            ("/stop_sequences/*", Rule::Chars(256)),
            ("/stream", Rule::Boolean),
            ("/temperature", Rule::Number(0.0, 1.0)),
            ("/top_p", Rule::Number(0.0, 1.0)),
            ("/top_k", Rule::Integer(0, 100_000)),
            ("/priority", Rule::Integer(1, 10)),
            ("/thinking/budget_tokens", Rule::Integer(0, 65_536)),
            ("/tools", Rule::Length(128)),
            ("/tools", Rule::Size(256 << 10)),
            // Other tools, and these two, reach out of the server.
            ("/tools/*/type", Rule::one_of(["custom"])),
            ("/mcp_servers", Rule::Absent),
            ("/container", Rule::Absent),
        ],
    );
    let blocks = "/messages/*/content";
    rules.extend(content(
        blocks,
        Rule::one_of([
            "text",
            "image",
            "tool_use",
            "tool_result",
            "thinking",
            "redacted_thinking",
        ]),
    ));
    rules.extend(at(
        "/messages/*/content/*",
        [
            ("/id", Rule::Chars(256)),
            ("/name", Rule::Text),
            ("/input", Rule::Texts),
            ("/tool_use_id", Rule::Chars(256)),
            ("/is_error", Rule::Boolean),
            ("/thinking", Rule::Text),
            ("/signature", Rule::Any),
            ("/data", Rule::Any),
        ],
    ));
    let results = "/messages/*/content/*/content";
    rules.extend(content(results, Rule::one_of(["text", "image"])));
    rules
}

/// A text, or blocks of these types.
fn content(pointer: &str, types: Rule) -> Vec<(String, Rule)> {
    at(
        pointer,
        [
            ("", Rule::Text),
            ("", Rule::Length(100)),
            ("/*", Rule::Closed),
            ("/*/type", Rule::Required),
            ("/*/type", types),
            (
                "/*/type",
                Rule::needs([("text", "text"), ("image", "source")]),
            ),
            ("/*/text", Rule::Text),
            ("/*/cache_control", Rule::Any),
            ("/*/citations", Rule::Any),
            ("/*/source", Rule::Closed),
            ("/*/source/type", Rule::Required),
            ("/*/source/type", Rule::one_of(["base64", "url"])),
            (
                "/*/source/type",
                Rule::needs([("base64", "data"), ("url", "url")]),
            ),
            ("/*/source/media_type", Rule::ImageType),
            ("/*/source/data", Rule::ImageBase64),
            ("/*/source/url", Rule::ImageUrl),
        ],
    )
}
