//! Finds misspelt fields. An upstream has fields that this server does not know, so only names
//! that almost match a known one are refused.

use stockade_core::refusal::{Refusal, RefusalKind};

use super::RelayApi;

/// The fields of OpenAI's chat and completions that an extension is unlikely to imitate.
const CHAT: &[&str] = &[
    "messages",
    "prompt",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "response_format",
    "stream_options",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning_effort",
    "service_tier",
    "modalities",
    "metadata",
    "suffix",
    "best_of",
    "repetition_penalty",
    "min_tokens",
    "chat_template_kwargs",
];

const RESPONSES: &[&str] = &[
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "temperature",
    "top_p",
    "tool_choice",
    "parallel_tool_calls",
    "previous_response_id",
    "reasoning",
    "truncation",
    "metadata",
    "include",
    "background",
    "top_logprobs",
];

const MESSAGES: &[&str] = &[
    "messages",
    "max_tokens",
    "system",
    "stop_sequences",
    "temperature",
    "top_k",
    "top_p",
    "tool_choice",
    "thinking",
    "metadata",
    "service_tier",
];

const EMBEDDINGS: &[&str] = &["input", "dimensions", "encoding_format"];

/// The minimum length of a name for which a suggestion is safe.
const MIN_LENGTH: usize = 6;
/// The maximum length of a name that an error repeats.
const MAX_LENGTH: usize = 64;

/// Refuses the first name that is almost, but not quite, that of a known field.
pub(super) fn check<'a>(
    names: impl Iterator<Item = &'a str>,
    api: RelayApi,
) -> Result<(), Refusal> {
    let known = match api {
        RelayApi::Chat | RelayApi::Completions => CHAT,
        RelayApi::Responses => RESPONSES,
        RelayApi::Messages | RelayApi::CountTokens => MESSAGES,
        RelayApi::Embeddings => EMBEDDINGS,
        RelayApi::Rerank | RelayApi::Tokenize => return Ok(()),
    };
    for name in names {
        let is_plain = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if known.contains(&name) || !(MIN_LENGTH..=MAX_LENGTH).contains(&name.len()) || !is_plain {
            continue;
        }
        let misspells = |known: &&&str| strsim::osa_distance(name, known) <= 2;
        if let Some(meant) = known.iter().find(misspells) {
            let text = format!("unknown parameter: `{name}`; did you mean `{meant}`?");
            return Err(Refusal::new(RefusalKind::Invalid, text)
                .with_code("UNKNOWN_PARAMETER")
                .with_param(name.to_owned()));
        }
    }
    Ok(())
}
