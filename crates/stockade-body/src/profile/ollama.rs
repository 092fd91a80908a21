//! Ollama's API.

use super::{rule::Rule, table::at};

pub(super) fn chat() -> Vec<(String, Rule)> {
    let mut rules = shared();
    rules.extend(at(
        "",
        [
            ("/messages", Rule::MaxItems(1_000)),
            ("/messages/*", Rule::PromptTexts),
            ("/messages/*/role", Rule::MaxChars(32)),
            ("/messages/*/content", Rule::PromptText),
            ("/messages/*/images/*", Rule::ImageBase64),
            ("/messages/*/tool_calls", Rule::MaxItems(128)),
            ("/messages/*/tool_calls/*", Rule::PromptTexts),
            ("/tools", Rule::MaxItems(128)),
            ("/tools", Rule::MaxBytes(256 << 10)),
        ],
    ));
    rules
}

pub(super) fn generate() -> Vec<(String, Rule)> {
    let mut rules = shared();
    rules.extend(at(
        "",
        [
            ("/prompt", Rule::PromptText),
            ("/suffix", Rule::PromptText),
            ("/system", Rule::PromptText),
            ("/images/*", Rule::ImageBase64),
            ("/context/*", Rule::TokenId),
            // A template is code that the server executes.
            ("/template", Rule::Forbidden),
        ],
    ));
    rules
}

fn shared() -> Vec<(String, Rule)> {
    at(
        "",
        [
            ("/model", Rule::Required),
            ("/model", Rule::Model),
            ("/stream", Rule::Boolean),
            ("/priority", Rule::Integer(1, 10)),
            ("/format", Rule::MaxBytes(64 << 10)),
            ("/top_logprobs", Rule::Integer(0, 20)),
            ("/options/num_predict", Rule::MaxTokens),
            ("/options/num_ctx", Rule::Integer(1, 131_072)),
            // These settings belong to the operator.
            ("/options/num_batch", Rule::Forbidden),
            ("/options/num_gpu", Rule::Forbidden),
            ("/options/num_thread", Rule::Forbidden),
            ("/options/num_keep", Rule::Integer(0, 131_072)),
            ("/options/temperature", Rule::Number(0.0, 2.0)),
            ("/options/top_p", Rule::Number(0.0, 1.0)),
            ("/options/min_p", Rule::Number(0.0, 1.0)),
            ("/options/top_k", Rule::Integer(0, 100_000)),
            ("/options/repeat_last_n", Rule::Integer(-1, 131_072)),
            ("/options/stop", Rule::MaxChars(256)),
            ("/options/stop", Rule::MaxItems(16)),
            ("/options/stop/*", Rule::MaxChars(256)),
        ],
    )
}
