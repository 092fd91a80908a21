//! The token usage in responses of upstreams.

use std::borrow::Cow;

use serde::{Deserialize, de::IgnoredAny};
use stockade_core::llm::TokenUsage;

/// The fields of a response, or of an event of a stream, that the relay reads. All APIs are read
/// alike: `usage` stands at the top, in `response` (responses) or in `message` (messages).
#[derive(Deserialize)]
pub(super) struct Reading<'a> {
    /// The type of an event of the responses or messages API.
    #[serde(default, borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(default)]
    usage: Option<UsageObject>,
    #[serde(default)]
    response: Option<Nested>,
    #[serde(default)]
    message: Option<Nested>,
    /// Null in successful Responses objects.
    #[serde(default)]
    pub(super) error: Option<IgnoredAny>,
    /// Only counted.
    #[serde(default)]
    choices: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
struct Nested {
    #[serde(default)]
    usage: Option<UsageObject>,
}

#[derive(Clone, Copy, Deserialize)]
struct UsageObject {
    #[serde(default, alias = "input_tokens")]
    prompt_tokens: Option<u64>,
    #[serde(default, alias = "output_tokens")]
    completion_tokens: Option<u64>,
    #[serde(default)]
    total_tokens: Option<u64>,
}

/// The texts of a response.
#[derive(Deserialize)]
struct Texts<'a> {
    #[serde(default, borrow)]
    choices: Option<Vec<Choice<'a>>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default, borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    message: Option<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default, borrow)]
    content: Option<Cow<'a, str>>,
    #[serde(default, borrow, alias = "reasoning")]
    reasoning_content: Option<Cow<'a, str>>,
}

/// Usage, as far as it was reported: the messages API reports prompt and completion in different
/// events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PartialUsage {
    pub(super) prompt_tokens: Option<u64>,
    pub(super) completion_tokens: Option<u64>,
}

impl PartialUsage {
    /// Adds later numbers, which replace earlier ones.
    pub(super) fn update(&mut self, later: Self) {
        self.prompt_tokens = later.prompt_tokens.or(self.prompt_tokens);
        self.completion_tokens = later.completion_tokens.or(self.completion_tokens);
    }

    /// The usage, if all of it was reported.
    pub(super) fn complete(self) -> Option<TokenUsage> {
        Some(TokenUsage {
            prompt_tokens: self.prompt_tokens?,
            completion_tokens: self.completion_tokens?,
        })
    }

    /// The usage, with estimates for what was not reported.
    pub(super) fn or_estimate(self, estimate: TokenUsage) -> TokenUsage {
        TokenUsage {
            prompt_tokens: self.prompt_tokens.unwrap_or(estimate.prompt_tokens),
            completion_tokens: self.completion_tokens.unwrap_or(estimate.completion_tokens),
        }
    }
}

impl Reading<'_> {
    /// The usage in this object.
    pub(super) fn usage(&self) -> PartialUsage {
        let nested = || self.response.as_ref().or(self.message.as_ref());
        let usage = self.usage.or_else(|| nested()?.usage);
        let Some(usage) = usage else {
            return PartialUsage::default();
        };
        let completion = || {
            // Embeddings have a total only.
            let total = usage.total_tokens?;
            Some(total.saturating_sub(usage.prompt_tokens?))
        };
        PartialUsage {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens.or_else(completion),
        }
    }

    /// Whether this is the last event of a stream of the responses or messages API.
    pub(super) fn is_last(&self) -> bool {
        matches!(
            self.kind.as_deref(),
            Some("response.completed" | "response.incomplete" | "response.failed" | "message_stop")
        )
    }

    /// Whether this is the event with the usage, which has no choices.
    pub(super) fn is_usage_only(&self) -> bool {
        self.usage.is_some() && self.choices.as_ref().is_some_and(Vec::is_empty)
    }
}

/// An estimate of the tokens of a completion from its texts, for a response without a usage: three
/// bytes are a token.
pub(super) fn estimated_completion(response: &[u8]) -> u64 {
    // A response whose choices are of another form has no texts.
    let texts: Option<Texts<'_>> = serde_json::from_slice(response).ok();
    let choices = texts.and_then(|texts| texts.choices).unwrap_or_default();
    let texts = choices.iter().flat_map(|choice| {
        let message = choice.message.as_ref();
        [
            choice.text.as_deref(),
            message.and_then(|message| message.content.as_deref()),
            message.and_then(|message| message.reasoning_content.as_deref()),
        ]
    });
    texts
        .flatten()
        .map(|text| text.len().div_ceil(3) as u64)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Reading<'_> {
        serde_json::from_str(json).unwrap()
    }

    fn usage(json: &str) -> (Option<u64>, Option<u64>) {
        let usage = read(json).usage();
        (usage.prompt_tokens, usage.completion_tokens)
    }

    #[test]
    fn reads_the_usage_of_every_api() {
        for (json, expected) in [
            (
                r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
                (Some(3), Some(4)),
            ),
            (
                r#"{"usage":{"prompt_tokens":3,"total_tokens":3}}"#,
                (Some(3), Some(0)),
            ),
            (
                r#"{"type":"response.completed","response":{"usage":{"input_tokens":3,"output_tokens":4}}}"#,
                (Some(3), Some(4)),
            ),
            (
                r#"{"type":"message_start","message":{"usage":{"input_tokens":3}}}"#,
                (Some(3), None),
            ),
            (
                r#"{"type":"message_delta","usage":{"output_tokens":4}}"#,
                (None, Some(4)),
            ),
            (r#"{"usage":null}"#, (None, None)),
            (r#"{"choices":[{"delta":{}}]}"#, (None, None)),
        ] {
            assert_eq!(usage(json), expected, "{json}");
        }
    }

    #[test]
    fn estimates_a_completion_by_its_texts() {
        let json = r#"{"choices":[{"message":{"content":"12345\n"}},{"text":"x"}]}"#;
        assert_eq!(estimated_completion(json.as_bytes()), 3);
        let tool_call = r#"{"choices":[{"message":{"content":null}}]}"#;
        assert_eq!(estimated_completion(tool_call.as_bytes()), 0);
    }
}
