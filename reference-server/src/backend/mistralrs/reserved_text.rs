//! Neutralises the texts of control tokens in what a client sends.
//!
//! The engine encodes the whole prompt, with the control tokens of the chat template, and for
//! images it even decodes and encodes it again. A text with `<|im_end|>` would end a turn, or forge
//! a message of another role. An invisible character inside (a zero-width space) makes it ordinary
//! text, for all chats in the same way, and leaves it readable: `<\u{200b}|im_end|>`.
//!
//! What matters are the tokens that the tokenizer finds in the text, also after the normalisation
//! of the tokens that are matched after it.

use std::borrow::Cow;

use regex::Regex;
use serde_json::{Value, value::RawValue};
use tokenizers::{
    AddedToken, NormalizedString, Normalizer, NormalizerWrapper, Tokenizer, normalizer::Range,
};

use super::quirks;
use crate::chat::{Message, Part, Tool, ToolCall};

/// What breaks a control token: the first of these that is part of none.
const BREAKS: [char; 3] = ['\u{200b}', '\u{2060}', ' '];

/// The texts that a tokenizer reads as control tokens.
#[derive(Clone, Debug, Default)]
pub(super) struct ReservedText {
    /// The tokens; `None` if there are none.
    tokens: Option<Regex>,
    /// The tokens that are matched in the normalised text, and the normalisation.
    normalized: Option<(Regex, NormalizerWrapper)>,
    separator: char,
}

impl ReservedText {
    /// The control tokens of a tokenizer.
    pub(super) fn of(tokenizer: &Tokenizer) -> Self {
        let added = tokenizer.get_added_tokens_decoder().into_values();
        let special: Vec<AddedToken> = added
            .filter(|token| token.special && !token.content.is_empty())
            .collect();
        let normalizer = tokenizer.get_normalizer();
        let normalized = special.iter().filter(|token| token.normalized);
        let normalized = normalized.filter_map(|token| {
            let mut text = NormalizedString::from(token.content.as_str());
            normalizer?.normalize(&mut text).ok()?;
            Some(text.get().to_owned())
        });
        let normalized = pattern(normalized);
        // Texts that the engine itself replaces in the prompts of vision models.
        let engine = quirks::PROMPT_MARKERS.map(str::to_owned);
        let texts = special.iter().map(|token| token.content.clone());
        let is_free = |c: &&char| !special.iter().any(|token| token.content.contains(**c));
        Self {
            tokens: pattern(texts.chain(engine)),
            normalized: normalized.zip(normalizer.cloned()),
            separator: BREAKS.iter().find(is_free).copied().unwrap_or('\u{200b}'),
        }
    }

    /// The text without control tokens.
    pub(super) fn neutralise<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        // Each step breaks a token, and none adds one.
        for _ in 0..=text.len() {
            match self.broken(&text) {
                Some(broken) => text = Cow::Owned(broken),
                None => return text,
            }
        }
        Cow::Borrowed("")
    }

    /// A message without control tokens.
    pub(super) fn message(&self, message: &Message) -> Message {
        let part = |part: &Part| match part {
            Part::Text(text) => Part::Text(self.owned(text)),
            Part::Image(image) => Part::Image(image.clone()),
        };
        let call = |call: &ToolCall| ToolCall {
            id: self.owned(&call.id),
            name: self.owned(&call.name),
            arguments: self.json(&call.arguments),
        };
        Message {
            role: message.role,
            parts: message.parts.iter().map(part).collect(),
            tool_calls: message.tool_calls.iter().map(call).collect(),
            tool_call_id: message.tool_call_id.as_deref().map(|id| self.owned(id)),
        }
    }

    /// A tool without control tokens.
    pub(super) fn tool(&self, tool: &Tool) -> Tool {
        let parameters = tool.parameters.as_ref();
        let parameters = parameters.and_then(|schema| {
            let text = self.json(schema.get());
            RawValue::from_string(text).ok()
        });
        Tool {
            name: self.owned(&tool.name),
            description: tool.description.as_deref().map(|text| self.owned(text)),
            parameters,
            strict: tool.strict,
        }
    }

    fn owned(&self, text: &str) -> String {
        self.neutralise(text).into_owned()
    }

    /// JSON without control tokens in its names and strings, which may be escaped: the template
    /// writes them without escapes. Other text is neutralised as a whole.
    fn json(&self, text: &str) -> String {
        match serde_json::from_str(text) {
            Ok(mut value) => {
                if self.tree(&mut value) {
                    value.to_string()
                } else {
                    text.to_owned()
                }
            }
            Err(_) => self.owned(text),
        }
    }

    /// Neutralises all strings of a value; returns whether there was something to do.
    fn tree(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => match self.neutralise(text) {
                Cow::Borrowed(_) => false,
                Cow::Owned(neutral) => {
                    *text = neutral;
                    true
                }
            },
            Value::Array(values) => values.iter_mut().fold(false, |any, v| self.tree(v) | any),
            Value::Object(fields) => {
                let mut any = false;
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(name, mut value)| {
                        let neutral = self.owned(&name);
                        any |= self.tree(&mut value) | (neutral != name);
                        (neutral, value)
                    })
                    .collect();
                any
            }
            _ => false,
        }
    }

    /// The text with its first tokens broken; `None` if there are none.
    fn broken(&self, text: &str) -> Option<String> {
        if let Some(tokens) = &self.tokens
            && tokens.is_match(text)
        {
            let break_up = |token: &regex::Captures<'_>| self.separated(&token[0]);
            return Some(tokens.replace_all(text, break_up).into_owned());
        }
        let (tokens, normalizer) = self.normalized.as_ref()?;
        let mut normal = NormalizedString::from(text);
        normalizer.normalize(&mut normal).ok()?;
        let token = tokens.find(normal.get())?;
        let original = normal.convert_offsets(Range::Normalized(token.range()));
        // The normalisation may remove a separator, so a character is replaced.
        let start = original.map_or(0, |range| range.start);
        let length = text[start..].chars().next().map_or(0, char::len_utf8);
        Some(format!("{}?{}", &text[..start], &text[start + length..]))
    }

    fn separated(&self, token: &str) -> String {
        let first = token.chars().next().map_or(0, char::len_utf8);
        match token.split_at(first) {
            (_, "") => "?".to_owned(),
            (first, rest) => format!("{first}{}{rest}", self.separator),
        }
    }
}

/// A pattern for any of these texts.
fn pattern(texts: impl Iterator<Item = String>) -> Option<Regex> {
    let mut texts: Vec<String> = texts.filter(|text| !text.is_empty()).collect();
    // The longest first, as the tokenizer matches them.
    texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
    let texts: Vec<String> = texts.iter().map(|text| regex::escape(text)).collect();
    match texts.is_empty() {
        true => None,
        false => Regex::new(&texts.join("|")).ok(),
    }
}

#[cfg(test)]
mod tests;
