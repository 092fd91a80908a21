//! The token usage in responses of upstreams, and how they describe themselves.

use std::borrow::Cow;

use serde::{Deserialize, de::IgnoredAny};
use stockade_core::llm::{ModelResponse, TokenUsage};

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
    #[serde(default)]
    choices: Option<Vec<EndOfChoice>>,
    /// Of an event of the messages API.
    #[serde(default)]
    delta: Option<Lenient<EndOfMessage>>,
    #[serde(default)]
    id: Option<Lenient<String>>,
    #[serde(default)]
    model: Option<Lenient<String>>,
    /// Of a message.
    #[serde(default)]
    stop_reason: Option<Lenient<String>>,
    /// Of the responses API, as the next.
    #[serde(default)]
    status: Option<Lenient<String>>,
    #[serde(default)]
    incomplete_details: Option<Lenient<IncompleteDetails>>,
}

#[derive(Deserialize)]
struct Nested {
    #[serde(default)]
    usage: Option<UsageObject>,
    #[serde(default)]
    id: Option<Lenient<String>>,
    #[serde(default)]
    model: Option<Lenient<String>>,
    #[serde(default)]
    status: Option<Lenient<String>>,
    #[serde(default)]
    incomplete_details: Option<Lenient<IncompleteDetails>>,
}

#[derive(Deserialize)]
struct EndOfChoice {
    #[serde(default)]
    finish_reason: Option<Lenient<String>>,
}

#[derive(Deserialize)]
struct EndOfMessage {
    #[serde(default)]
    stop_reason: Option<Lenient<String>>,
}

#[derive(Deserialize)]
struct IncompleteDetails {
    #[serde(default)]
    reason: Option<Lenient<String>>,
}

/// A value that nothing depends on, so that one of another type does not make a response invalid.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lenient<T> {
    Value(T),
    Other(IgnoredAny),
}

impl<T> Lenient<T> {
    fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Other(_) => None,
        }
    }
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
        let usage = self.usage.or_else(|| self.nested()?.usage);
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

    fn nested(&self) -> Option<&Nested> {
        self.response.as_ref().or(self.message.as_ref())
    }

    /// Adds what this object states about the response; later ids and names replace earlier ones.
    pub(super) fn describe(&self, response: &mut ModelResponse) {
        let nested = self.nested();
        let id = self.id.as_ref().or_else(|| nested?.id.as_ref());
        if let Some(id) = id.and_then(Lenient::value) {
            response.set_id(id);
        }
        let model = self.model.as_ref().or_else(|| nested?.model.as_ref());
        if let Some(model) = model.and_then(Lenient::value) {
            response.set_model(model);
        }
        let choices = self.choices.iter().flatten();
        let of_choices = choices.filter_map(|choice| choice.finish_reason.as_ref());
        let delta = self.delta.as_ref().and_then(Lenient::value);
        let of_delta = delta.and_then(|delta| delta.stop_reason.as_ref());
        let reasons = of_choices.chain(of_delta).chain(&self.stop_reason);
        for reason in reasons.chain(self.end_of_response()) {
            if let Some(reason) = reason.value() {
                response.add_finish_reason(reason);
            }
        }
    }

    /// Why a response of the responses API has ended.
    fn end_of_response(&self) -> Option<&Lenient<String>> {
        let (status, details) = match self.nested() {
            Some(nested) if self.is_last() => (&nested.status, &nested.incomplete_details),
            None => (&self.status, &self.incomplete_details),
            // The start of a stream.
            Some(_) => return None,
        };
        let details = details.as_ref().and_then(Lenient::value);
        let reason = details.and_then(|details| details.reason.as_ref());
        reason.or(status.as_ref())
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
    fn reads_how_every_api_describes_its_response() {
        for (json, id, model, reasons) in [
            (
                r#"{"id":"a","model":"m","choices":[{"finish_reason":"stop"},{"finish_reason":"length"}]}"#,
                Some("a"),
                Some("m"),
                &["stop", "length"][..],
            ),
            (
                r#"{"id":"a","choices":[{"finish_reason":null}],"usage":{}}"#,
                Some("a"),
                None,
                &[],
            ),
            (
                r#"{"type":"message","id":"a","model":"m","stop_reason":"end_turn"}"#,
                Some("a"),
                Some("m"),
                &["end_turn"],
            ),
            (
                r#"{"type":"message_start","message":{"id":"a","model":"m","stop_reason":null}}"#,
                Some("a"),
                Some("m"),
                &[],
            ),
            (
                r#"{"type":"message_delta","delta":{"stop_reason":"max_tokens"},"usage":{}}"#,
                None,
                None,
                &["max_tokens"],
            ),
            (
                r#"{"id":"a","model":"m","status":"completed","incomplete_details":null}"#,
                Some("a"),
                Some("m"),
                &["completed"],
            ),
            (
                r#"{"type":"response.created","response":{"id":"a","status":"in_progress"}}"#,
                Some("a"),
                None,
                &[],
            ),
            (
                r#"{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}}"#,
                None,
                None,
                &["max_output_tokens"],
            ),
            // A text delta of the responses API, and values of other types.
            (
                r#"{"type":"response.output_text.delta","delta":"error"}"#,
                None,
                None,
                &[],
            ),
            (
                r#"{"id":1,"model":[],"status":200,"choices":[{"finish_reason":{}}]}"#,
                None,
                None,
                &[],
            ),
        ] {
            let mut response = ModelResponse::default();
            read(json).describe(&mut response);
            assert_eq!((response.id(), response.model()), (id, model), "{json}");
            let actual: Vec<&str> = response.finish_reasons().iter().map(|r| &**r).collect();
            assert_eq!(actual, reasons, "{json}");
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
