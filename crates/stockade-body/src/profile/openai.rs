//! OpenAI's API, with extensions of compatible servers.

use super::{rule::Rule, table::at};

pub(super) fn chat() -> Vec<(String, Rule)> {
    let mut rules = shared();
    rules.extend(sampling());
    rules.extend(at(
        "",
        [
            ("/messages", Rule::Required),
            ("/messages", Rule::MaxItems(1_000)),
            ("/messages/*", Rule::PromptTexts),
            ("/messages/*/role", Rule::MaxChars(32)),
            ("/messages/*/content", Rule::PromptText),
            ("/messages/*/content", Rule::MaxItems(100)),
            ("/messages/*/tool_call_id", Rule::MaxChars(256)),
            ("/messages/*/tool_calls", Rule::MaxItems(128)),
            ("/messages/*/tool_calls/*", Rule::PromptTexts),
            ("/messages/*/tool_calls/*/id", Rule::MaxChars(256)),
            ("/messages/*/tool_calls/*/type", Rule::MaxChars(32)),
            ("/messages/*/audio", Rule::Forbidden),
            ("/audio", Rule::Forbidden),
            ("/modalities/*", Rule::one_of(["text"])),
            ("/prediction", Rule::PromptTexts),
            ("/documents", Rule::PromptTexts),
            ("/max_tokens", Rule::MaxTokens),
            ("/max_completion_tokens", Rule::MaxTokens),
            ("/logprobs", Rule::Boolean),
            ("/top_logprobs", Rule::Integer(0, 20)),
            ("/functions", Rule::MaxItems(128)),
            ("/functions", Rule::MaxBytes(256 << 10)),
            ("/tools/*/type", Rule::one_of(["function"])),
            ("/response_format", Rule::MaxBytes(64 << 10)),
            // A template is code that the server executes.
            ("/chat_template", Rule::Forbidden),
            ("/chat_template_kwargs", Rule::MaxBytes(16 << 10)),
            ("/mm_processor_kwargs", Rule::Forbidden),
            ("/media_io_kwargs", Rule::Forbidden),
        ],
    ));
    let part = "/messages/*/content/*";
    rules.extend(at(
        part,
        [
            ("", Rule::Closed),
            ("/type", Rule::Required),
            ("/type", Rule::one_of(["text", "image_url", "refusal"])),
            (
                "/type",
                Rule::requires_member([
                    ("text", "text"),
                    ("image_url", "image_url"),
                    ("refusal", "refusal"),
                ]),
            ),
            ("/text", Rule::PromptText),
            ("/refusal", Rule::PromptText),
            ("/cache_control", Rule::Any),
            ("/image_url", Rule::Closed),
            ("/image_url", Rule::ImageUrl),
            ("/image_url/url", Rule::Required),
            ("/image_url/url", Rule::ImageUrl),
            ("/image_url/detail", Rule::MaxChars(16)),
        ],
    ));
    rules
}

pub(super) fn completions() -> Vec<(String, Rule)> {
    let mut rules = shared();
    rules.extend(sampling());
    rules.extend(at(
        "",
        [
            ("/prompt", Rule::Required),
            ("/prompt", Rule::PromptText),
            ("/prompt", Rule::MaxItems(65_536)),
            ("/prompt/*", Rule::PromptText),
            ("/prompt/*", Rule::TokenId),
            ("/prompt/*/*", Rule::TokenId),
            ("/prompt_embeds", Rule::Forbidden),
            ("/suffix", Rule::PromptText),
            ("/echo", Rule::Boolean),
            ("/max_tokens", Rule::MaxTokens),
            ("/logprobs", Rule::Integer(0, 20)),
        ],
    ));
    rules
}

pub(super) fn embeddings() -> Vec<(String, Rule)> {
    let mut rules = shared();
    rules.extend(at(
        "",
        [
            ("/input", Rule::Required),
            ("/input", Rule::PromptText),
            ("/input", Rule::MaxItems(65_536)),
            ("/input/*", Rule::PromptText),
            ("/input/*", Rule::TokenId),
            ("/input/*/*", Rule::TokenId),
            // Some servers also embed chats, including images.
            ("/messages", Rule::Forbidden),
            ("/dimensions", Rule::Integer(1, 65_536)),
            ("/encoding_format", Rule::one_of(["float", "base64"])),
        ],
    ));
    rules
}

pub(super) fn responses() -> Vec<(String, Rule)> {
    let mut rules = shared();
    rules.extend(sampling());
    rules.extend(at(
        "",
        [
            ("/input", Rule::PromptText),
            ("/input", Rule::MaxItems(1_000)),
            ("/input/*", Rule::PromptTexts),
            (
                "/input/*/type",
                Rule::one_of([
                    "message",
                    "reasoning",
                    "function_call",
                    "function_call_output",
                    "custom_tool_call",
                    "custom_tool_call_output",
                    "item_reference",
                ]),
            ),
            ("/input/*/id", Rule::MaxChars(256)),
            ("/input/*/call_id", Rule::MaxChars(256)),
            ("/input/*/role", Rule::MaxChars(32)),
            ("/input/*/status", Rule::MaxChars(32)),
            ("/input/*/encrypted_content", Rule::Any),
            ("/input/*/content", Rule::PromptText),
            ("/input/*/content", Rule::MaxItems(100)),
            ("/input/*/output", Rule::PromptText),
            ("/input/*/output", Rule::MaxItems(100)),
            ("/instructions", Rule::PromptText),
            ("/max_output_tokens", Rule::MaxTokens),
            ("/max_tool_calls", Rule::Integer(1, 128)),
            ("/top_logprobs", Rule::Integer(0, 20)),
            // Other tools reach outside the server.
            ("/tools/*/type", Rule::one_of(["function", "custom"])),
            ("/text", Rule::MaxBytes(64 << 10)),
            ("/prompt", Rule::Forbidden),
        ],
    ));
    for part in ["/input/*/content/*", "/input/*/output/*"] {
        rules.extend(at(
            part,
            [
                ("", Rule::Closed),
                ("/type", Rule::Required),
                (
                    "/type",
                    Rule::one_of([
                        "input_text",
                        "input_image",
                        "output_text",
                        "refusal",
                        "reasoning_text",
                    ]),
                ),
                (
                    "/type",
                    Rule::requires_member([
                        ("input_text", "text"),
                        ("input_image", "image_url"),
                        ("output_text", "text"),
                        ("refusal", "refusal"),
                        ("reasoning_text", "text"),
                    ]),
                ),
                ("/text", Rule::PromptText),
                ("/refusal", Rule::PromptText),
                ("/annotations", Rule::PromptTexts),
                ("/logprobs", Rule::Any),
                // The text as a value: OpenAI's SDK for Node sends back what its `parse` adds.
                ("/parsed", Rule::PromptTexts),
                ("/image_url", Rule::ImageUrl),
                ("/detail", Rule::MaxChars(16)),
            ],
        ));
    }
    rules
}

/// Rules shared by all routes.
fn shared() -> Vec<(String, Rule)> {
    at(
        "",
        [
            ("/model", Rule::Required),
            ("/model", Rule::Model),
            ("/stream", Rule::Boolean),
            ("/priority", Rule::Integer(1, 10)),
            ("/truncate_prompt_tokens", Rule::Integer(-1, 1 << 20)),
        ],
    )
}

/// Rules shared by routes that generate text.
fn sampling() -> Vec<(String, Rule)> {
    at(
        "",
        [
            ("/n", Rule::Choices(8)),
            ("/best_of", Rule::Choices(8)),
            ("/temperature", Rule::Number(0.0, 2.0)),
            ("/top_p", Rule::Number(0.0, 1.0)),
            ("/min_p", Rule::Number(0.0, 1.0)),
            ("/top_k", Rule::Integer(-1, 100_000)),
            ("/presence_penalty", Rule::Number(-2.0, 2.0)),
            ("/frequency_penalty", Rule::Number(-2.0, 2.0)),
            ("/repetition_penalty", Rule::Number(0.0, 10.0)),
            ("/min_tokens", Rule::Integer(0, 65_536)),
            ("/prompt_logprobs", Rule::Integer(0, 20)),
            ("/seed", Rule::Integer(i64::MIN, i64::MAX)),
            ("/stop", Rule::MaxChars(256)),
            ("/stop", Rule::MaxItems(16)),
            ("/stop/*", Rule::MaxChars(256)),
            ("/tools", Rule::MaxItems(128)),
            ("/tools", Rule::MaxBytes(256 << 10)),
            // Some servers compile these grammars.
            ("/grammar", Rule::MaxBytes(64 << 10)),
            ("/guided_grammar", Rule::MaxBytes(64 << 10)),
            ("/guided_json", Rule::MaxBytes(64 << 10)),
            ("/guided_regex", Rule::MaxBytes(4 << 10)),
            ("/structured_outputs", Rule::MaxBytes(64 << 10)),
        ],
    )
}
