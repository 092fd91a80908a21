//! Ollama's API.

use super::{rule::Rule, table::at};

pub(super) fn chat() -> Vec<(String, Rule)> {
    let mut rules = shared();
    rules.extend(at(
        "",
        [
            ("/messages", Rule::Length(1_000)),
            ("/messages/*", Rule::Texts),
            ("/messages/*/role", Rule::Chars(32)),
            ("/messages/*/content", Rule::Text),
            ("/messages/*/images/*", Rule::ImageBase64),
            ("/messages/*/tool_calls", Rule::Length(128)),
            ("/messages/*/tool_calls/*", Rule::Texts),
            ("/tools", Rule::Length(128)),
            ("/tools", Rule::Size(256 << 10)),
        ],
    ));
    rules
}

pub(super) fn generate() -> Vec<(String, Rule)> {
    let mut rules = shared();
    rules.extend(at(
        "",
        [
            ("/prompt", Rule::Text),
            ("/suffix", Rule::Text),
            ("/system", Rule::Text),
            ("/images/*", Rule::ImageBase64),
            ("/context/*", Rule::Token),
            // A template is a program that the server runs.
            ("/template", Rule::Absent),
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
            ("/format", Rule::Size(64 << 10)),
            ("/top_logprobs", Rule::Integer(0, 20)),
            ("/options/num_predict", Rule::MaxTokens),
            ("/options/num_ctx", Rule::Integer(1, 131_072)),
            // These are for who runs the machine.
            ("/options/num_batch", Rule::Absent),
            ("/options/num_gpu", Rule::Absent),
            ("/options/num_thread", Rule::Absent),
            ("/options/num_keep", Rule::Integer(0, 131_072)),
            ("/options/temperature", Rule::Number(0.0, 2.0)),
            ("/options/top_p", Rule::Number(0.0, 1.0)),
            ("/options/min_p", Rule::Number(0.0, 1.0)),
            ("/options/top_k", Rule::Integer(0, 100_000)),
            ("/options/repeat_last_n", Rule::Integer(-1, 131_072)),
            ("/options/stop", Rule::Chars(256)),
            ("/options/stop", Rule::Length(16)),
            ("/options/stop/*", Rule::Chars(256)),
        ],
    )
}
