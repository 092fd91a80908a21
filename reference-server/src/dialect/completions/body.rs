//! The body of a completions request: types are checked, values are not yet.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};

use crate::dialect::{
    chat::{LogitBias, MAX_STOPS, StreamOptions},
    object_body::object_body,
    string_or::StringOrList,
};

/// The maximum number of prompts or token ids that are read before a request is refused.
const MAX_PROMPTS: usize = 65_536;

object_body! {
    /// A completions request as received.
    pub(in crate::dialect) struct CompletionsBody<'a>: "a completions object" {
        model = "model": String,
        prompt = "prompt": StringOrList<'a, PromptBody, MAX_PROMPTS>,
        max_tokens = "max_tokens": u64,
        temperature = "temperature": f64,
        top_p = "top_p": f64,
        top_k = "top_k": i64,
        min_p = "min_p": f64,
        frequency_penalty = "frequency_penalty": f64,
        presence_penalty = "presence_penalty": f64,
        repetition_penalty = "repetition_penalty": f64,
        logit_bias = "logit_bias": LogitBias,
        seed = "seed": i64,
        stop = "stop": StringOrList<'a, String, MAX_STOPS>,
        n = "n": u64,
        best_of = "best_of": u64,
        logprobs = "logprobs": u64,
        stream = "stream": bool,
        stream_options = "stream_options": StreamOptions,
    }
}

/// One of several prompts.
pub(in crate::dialect) enum PromptBody {
    Text(String),
    /// A token id or a list of them.
    Tokens,
}

impl<'de> Deserialize<'de> for PromptBody {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_any(PromptVisitor)
    }
}

struct PromptVisitor;

impl<'de> Visitor<'de> for PromptVisitor {
    type Value = PromptBody;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<PromptBody, E> {
        Ok(PromptBody::Text(text.to_owned()))
    }

    fn visit_u64<E>(self, _token: u64) -> Result<PromptBody, E> {
        Ok(PromptBody::Tokens)
    }

    fn visit_seq<A>(self, mut seq: A) -> Result<PromptBody, A::Error>
    where
        A: SeqAccess<'de>,
    {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(PromptBody::Tokens)
    }
}
