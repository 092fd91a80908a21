//! Finds the few fields of a request body that a relay needs, and keeps the body as it is.

use std::{borrow::Cow, fmt, ops::Range};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use stockade_core::refusal::{Refusal, RefusalKind};

use super::{api::RelayApi, known_fields};
use crate::dialect::missing;

/// The fields of a request that a relay needs.
#[derive(Debug)]
pub(crate) struct RequestScan {
    /// The model's name.
    pub(crate) model: String,
    /// The position of the JSON string with the name, including its quotes.
    pub(crate) model_at: Range<usize>,
    pub(super) stream: bool,
    /// Whether the client asked for the usage of a stream.
    pub(super) include_usage: bool,
    /// The value of `stream_options`, if there is one.
    stream_options: Option<Range<usize>>,
    /// The position after the first brace.
    start: usize,
}

impl RequestScan {
    /// Scans a body.
    ///
    /// # Errors
    /// Returns a refusal if the body is not an object, names no model, or has a field that is
    /// probably a misspelt one.
    pub(crate) fn new(body: &[u8], api: RelayApi, is_strict: bool) -> Result<Self, Refusal> {
        let fields: Fields<'_> = serde_json::from_slice(body).map_err(|_| {
            let text = "the body is not a JSON object with the fields of this API";
            Refusal::new(RefusalKind::Invalid, text).with_code("INVALID_JSON")
        })?;
        if is_strict {
            known_fields::check(fields.others.iter().map(AsRef::as_ref), api)?;
        }
        let model = fields.model.ok_or_else(|| missing("model"))?;
        let options: Option<StreamOptions> = match fields.stream_options {
            Some(options) => serde_json::from_str(options.get()).map_err(|_| {
                let text = "`stream_options` is not an object with boolean fields";
                Refusal::new(RefusalKind::Invalid, text).with_param("stream_options")
            })?,
            None => None,
        };
        Ok(Self {
            model: serde_json::from_str(model.get()).map_err(|_| {
                let text = "`model` is invalid: expected a string";
                Refusal::new(RefusalKind::Invalid, text).with_param("model")
            })?,
            model_at: position(body, model),
            stream: fields.stream.unwrap_or(false),
            include_usage: options.is_some_and(|options| options.include_usage.unwrap_or(false)),
            stream_options: fields.stream_options.map(|value| position(body, value)),
            start: body
                .iter()
                .position(|byte| *byte == b'{')
                .map_or(0, |at| at + 1),
        })
    }

    /// The change of the body that makes the upstream report the usage of a stream; `None` if it
    /// needs none.
    pub(super) fn include_usage_patch(
        &self,
        body: &[u8],
        api: RelayApi,
    ) -> Option<(Range<usize>, Bytes)> {
        if !self.stream || self.include_usage || !api.has_stream_options() {
            return None;
        }
        const OPTIONS: &str = r#""stream_options":{"include_usage":true},"#;

        let Some(range) = self.stream_options.clone() else {
            return Some((
                self.start..self.start,
                Bytes::from_static(OPTIONS.as_bytes()),
            ));
        };
        // The other options are kept.
        let options = body.get(range.clone())?;
        let mut options: serde_json::Map<_, _> =
            serde_json::from_slice(options).unwrap_or_default();
        options.insert("include_usage".to_owned(), true.into());
        Some((range, serde_json::to_vec(&options).ok()?.into()))
    }
}

/// The position of a value in the body that it was parsed from.
fn position(body: &[u8], value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr().addr() - body.as_ptr().addr();
    start..start + value.get().len()
}

#[derive(Default)]
struct Fields<'a> {
    model: Option<&'a RawValue>,
    stream: Option<bool>,
    stream_options: Option<&'a RawValue>,
    /// The names of all other fields whose value is not null.
    others: Vec<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

/// A name that borrows from the body unless it has escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// The maximum number of fields.
const MAX_FIELDS: usize = 256;

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A>(self, mut map: A) -> Result<Self::Value, A::Error>
    where
        A: MapAccess<'de>,
    {
        let mut fields = Fields::default();
        while let Some(Name(name)) = map.next_key()? {
            match name.as_ref() {
                "model" if fields.model.is_some() => {
                    return Err(A::Error::duplicate_field("model"));
                }
                "model" => fields.model = map.next_value()?,
                "stream" => fields.stream = map.next_value()?,
                // `null` is a value, which a patch replaces.
                "stream_options" => fields.stream_options = Some(map.next_value()?),
                _ if fields.others.len() == MAX_FIELDS => {
                    return Err(A::Error::custom("too many fields"));
                }
                _ => {
                    if map.next_value::<Option<IgnoredAny>>()?.is_some() {
                        fields.others.push(name);
                    }
                }
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(body: &str) -> RequestScan {
        RequestScan::new(body.as_bytes(), RelayApi::Chat, true)
            .ok()
            .unwrap()
    }

    fn param(body: &str) -> Option<String> {
        let refusal = RequestScan::new(body.as_bytes(), RelayApi::Chat, true).unwrap_err();
        refusal.param().map(str::to_owned)
    }

    fn patched(body: &str) -> String {
        let mut text = body.to_owned();
        let patch = scan(body).include_usage_patch(body.as_bytes(), RelayApi::Chat);
        if let Some((range, bytes)) = patch {
            text.replace_range(range, std::str::from_utf8(&bytes).unwrap());
        }
        text
    }

    #[test]
    fn finds_the_model_among_other_fields() {
        let body = r#" {"messages":[{"role":"user","content":"\"model\":\"x\""}],"model": "a\u0062" ,"stream":true}"#;
        let scan = scan(body);
        assert_eq!(&body[scan.model_at.clone()], r#""a\u0062""#);
        assert_eq!(scan.model, "ab");
        assert!(scan.stream && !scan.include_usage);
    }

    #[test]
    fn asks_for_the_usage_of_a_stream() {
        for (body, expected) in [
            (
                r#" {"model":"a","stream":true}"#,
                r#" {"stream_options":{"include_usage":true},"model":"a","stream":true}"#,
            ),
            (
                r#"{"model":"a","stream":true,"stream_options":{"include_usage":false}}"#,
                r#"{"model":"a","stream":true,"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"model":"a","stream":true,"stream_options":null}"#,
                r#"{"model":"a","stream":true,"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"model":"a","stream":true,"stream_options":{"include_usage":true}}"#,
                r#"{"model":"a","stream":true,"stream_options":{"include_usage":true}}"#,
            ),
            (r#"{"model":"a"}"#, r#"{"model":"a"}"#),
        ] {
            assert_eq!(patched(body), expected);
        }
    }

    #[test]
    fn refuses_misspelt_fields_and_takes_extensions() {
        assert_eq!(
            param(r#"{"model":"a","max_token":1}"#).as_deref(),
            Some("max_token")
        );
        assert_eq!(
            param(r#"{"model":"a","stream_option":1}"#).as_deref(),
            Some("stream_option")
        );
        for field in [
            "top_k",
            "min_p",
            "chat_template_kwargs",
            "vendor_option",
            "x",
            // Of vLLM, llama.cpp and OpenRouter.
            "min_tokens",
            "prompt_logprobs",
            "cache_prompt",
            "models",
        ] {
            scan(&format!(r#"{{"model":"a","{field}":1}}"#));
        }
        scan(r#"{"model":"a","max_token":null}"#);
        let lenient = br#"{"model":"a","max_token":1}"#;
        assert!(RequestScan::new(lenient, RelayApi::Chat, false).is_ok());
    }

    #[test]
    fn refuses_what_is_no_request() {
        for body in [
            "",
            "[]",
            "{",
            r#"{"model":"a","model":"b"}"#,
            r#"{"stream":1}"#,
        ] {
            assert_eq!(param(body), None, "{body}");
        }
        assert_eq!(param("{}").as_deref(), Some("model"));
        assert_eq!(param(r#"{"model":7}"#).as_deref(), Some("model"));
        let options = r#"{"model":"a","stream_options":7}"#;
        assert_eq!(param(options).as_deref(), Some("stream_options"));
    }
}
