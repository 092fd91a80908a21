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
            ("/messages", Rule::MaxItems(1_000)),
            ("/messages/*", Rule::PromptTexts),
            ("/messages/*/role", Rule::MaxChars(32)),
            ("/system", Rule::PromptText),
            ("/system", Rule::MaxItems(100)),
            ("/system/*", Rule::Closed),
            ("/system/*/type", Rule::one_of(["text"])),
            ("/system/*/type", Rule::requires_member([("text", "text")])),
            ("/system/*/text", Rule::PromptText),
            ("/system/*/cache_control", Rule::Any),
            ("/system/*/citations", Rule::Any),
            ("/stop_sequences", Rule::MaxItems(16)),
            ("/stop_sequences/*", Rule::MaxChars(256)),
            ("/stream", Rule::Boolean),
            ("/temperature", Rule::Number(0.0, 1.0)),
            ("/top_p", Rule::Number(0.0, 1.0)),
            ("/top_k", Rule::Integer(0, 100_000)),
            ("/priority", Rule::Integer(1, 10)),
            ("/thinking/budget_tokens", Rule::Integer(0, 65_536)),
            ("/tools", Rule::MaxItems(128)),
            ("/tools", Rule::MaxBytes(256 << 10)),
            // Other tools, MCP servers and containers reach outside the server.
            ("/tools/*/type", Rule::one_of(["custom"])),
            ("/mcp_servers", Rule::Forbidden),
            ("/container", Rule::Forbidden),
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
            ("/id", Rule::MaxChars(256)),
            ("/name", Rule::PromptText),
            ("/input", Rule::PromptTexts),
            ("/tool_use_id", Rule::MaxChars(256)),
            ("/is_error", Rule::Boolean),
            ("/thinking", Rule::PromptText),
            ("/signature", Rule::Any),
            ("/data", Rule::Any),
        ],
    ));
    let results = "/messages/*/content/*/content";
    rules.extend(content(results, Rule::one_of(["text", "image"])));
    rules
}

/// Rules for a text or a list of blocks of these types.
fn content(pointer: &str, types: Rule) -> Vec<(String, Rule)> {
    at(
        pointer,
        [
            ("", Rule::PromptText),
            ("", Rule::MaxItems(100)),
            ("/*", Rule::Closed),
            ("/*/type", Rule::Required),
            ("/*/type", types),
            (
                "/*/type",
                Rule::requires_member([("text", "text"), ("image", "source")]),
            ),
            ("/*/text", Rule::PromptText),
            ("/*/cache_control", Rule::Any),
            ("/*/citations", Rule::Any),
            ("/*/source", Rule::Closed),
            ("/*/source/type", Rule::Required),
            ("/*/source/type", Rule::one_of(["base64", "url"])),
            (
                "/*/source/type",
                Rule::requires_member([("base64", "data"), ("url", "url")]),
            ),
            ("/*/source/media_type", Rule::ImageMediaType),
            ("/*/source/data", Rule::ImageBase64),
            ("/*/source/url", Rule::ImageUrl),
        ],
    )
}
