//! Parses the body of a request, and converts errors to refusals.

use serde::Deserialize;
use serde_json::error::Category;
use stockade_core::refusal::{Refusal, RefusalKind};

/// The maximum length of a path that an error repeats.
const MAX_PATH: usize = 128;

/// Parses the body of a request.
///
/// # Errors
/// Returns a refusal that names the field. It never repeats a value of the request, nor a name
/// that is long or has unusual characters.
pub(super) fn parse<'a, T>(body: &'a [u8]) -> Result<T, Refusal>
where
    T: Deserialize<'a>,
{
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| refuse(&error.path().to_string(), error.inner()))?;
    json.end().map_err(|error| refuse(".", &error))?;
    Ok(value)
}

fn refuse(path: &str, error: &serde_json::Error) -> Refusal {
    let invalid = |text: String| Refusal::new(RefusalKind::Invalid, text);
    if error.classify() != Category::Data {
        return invalid(format!(
            "the body is not valid JSON at line {}, column {}",
            error.line(),
            error.column()
        ))
        .with_code("INVALID_JSON");
    }
    let path = if is_plain_path(path) { path } else { "." };
    let error_kind = ParseError::from_serde(&error.to_string());
    let path = match &error_kind {
        ParseError::Missing(field) | ParseError::Duplicate(field) => join(path, field),
        _ => path.to_owned(),
    };
    let text = match error_kind {
        ParseError::Missing(_) => format!("`{path}` is missing"),
        ParseError::Duplicate(_) => format!("`{path}` is duplicated"),
        ParseError::Expected(what) => format!("`{path}` is invalid: expected {what}"),
        ParseError::Other => format!("`{path}` is invalid"),
        ParseError::Custom(text) => format!("`{path}` has {text}"),
    };
    match path.as_str() {
        "." => invalid(text.replace("`.`", "the body")),
        _ => invalid(text).with_param(path),
    }
}

/// Whether an error may repeat a path, which can contain names from the request.
pub(crate) fn is_plain_path(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte);
    path.len() <= MAX_PATH && path.bytes().all(plain)
}

fn join(path: &str, field: &str) -> String {
    match path {
        "." => field.to_owned(),
        path if path == field || path.ends_with(&format!(".{field}")) => path.to_owned(),
        path => format!("{path}.{field}"),
    }
}

/// A parse error without any value of the request: serde's own message may quote the whole
/// value.
#[derive(Debug, PartialEq)]
enum ParseError {
    Missing(String),
    Duplicate(String),
    Expected(String),
    /// A message of this API.
    Custom(String),
    Other,
}

impl ParseError {
    fn from_serde(error: &str) -> Self {
        // Drops the position, which follows the message; the path is more useful.
        let text = error.rfind(" at line ").map_or(error, |at| &error[..at]);
        let quoted = |text: &str| text.trim_matches('`').to_owned();
        if let Some(field) = text.strip_prefix("missing field ") {
            Self::Missing(quoted(field))
        } else if let Some(field) = text.strip_prefix("duplicate field ") {
            Self::Duplicate(quoted(field))
        } else if text.starts_with("more than ") || text == "too many fields" {
            Self::Custom(text.to_owned())
        } else if text.starts_with("invalid ") || text.starts_with("unknown ") {
            // The expectation is last, so a value cannot imitate it.
            match text.rsplit_once(", expected ") {
                Some((_, expected)) => Self::Expected(expected.to_owned()),
                None => Self::Other,
            }
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::chat::ChatBody, *};

    fn refusal(body: &str) -> (Option<String>, String) {
        let refusal = parse::<ChatBody<'_>>(body.as_bytes()).err().expect(body);
        assert_eq!(refusal.kind(), RefusalKind::Invalid);
        (
            refusal.param().map(str::to_owned),
            refusal.message().to_owned(),
        )
    }

    #[test]
    fn names_the_path_of_a_wrong_type() {
        for (body, param) in [
            (r#"{"model":1}"#, "model"),
            (r#"{"max_tokens":-1}"#, "max_tokens"),
            (r#"{"max_tokens":1.5}"#, "max_tokens"),
            (r#"{"max_tokens":1e18}"#, "max_tokens"),
            (r#"{"temperature":"hot"}"#, "temperature"),
            (r#"{"stop":7}"#, "stop"),
            (r#"{"stop":["a","b","c","d","e"]}"#, "stop"),
            (
                r#"{"stream_options":{"include_usage":1}}"#,
                "stream_options.include_usage",
            ),
            (r#"{"messages":"hello"}"#, "messages"),
            (
                r#"{"messages":[{"role":"user","content":3}]}"#,
                "messages[0].content",
            ),
            (r#"{"tools":[{"type":"function"}]}"#, "tools[0].function"),
            (r#"{"logit_bias":{"a":1}}"#, "logit_bias"),
            (
                r#"{"messages":[{"role":"user","content":[{"text":"a"}]}]}"#,
                "messages[0].content[0].type",
            ),
            (
                r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":1}}]}]}"#,
                "messages[0].content[0].image_url.url",
            ),
            (r#"{"model":"a","model":"b"}"#, "model"),
        ] {
            assert_eq!(refusal(body).0.as_deref(), Some(param), "{body}");
        }
    }

    #[test]
    fn never_repeats_a_value() {
        for body in [
            r#"{"messages":"c2VjcmV0, expected c2VjcmV0"}"#,
            r#"{"temperature":"c2VjcmV0"}"#,
            &format!(r#"{{"logit_bias":{{"{}":1}}}}"#, "c2VjcmV0".repeat(20)),
            r#"{"logit_bias":{"1":"c2VjcmV0"}}"#,
        ] {
            let (_, message) = refusal(body);
            assert!(!message.contains("c2VjcmV0"), "{message}");
        }
    }

    #[test]
    fn reports_the_position_of_invalid_json() {
        let (param, message) = refusal("{\"model\":\n  nope}");
        assert_eq!(param, None);
        assert!(message.contains("line 2, column"), "{message}");
        for body in ["", "{", "{} x", "\u{feff}{}", r#"{"temperature":1e400}"#] {
            assert_eq!(refusal(body).0, None, "{body}");
        }
        assert_eq!(
            refusal("[1]").1,
            "the body is invalid: expected a chat object"
        );
    }

    // B05
    #[test]
    fn refuses_deep_nesting() {
        for open in ["[", r#"{"a":"#] {
            let body = format!(r#"{{"metadata":{}"#, open.repeat(100_000));
            refusal(&body);
        }
    }

    // B10
    #[test]
    fn refuses_long_lists() {
        let message = r#"{"role":"user","content":"a"}"#;
        let messages = format!(r#"{{"messages":[{}]}}"#, vec![message; 1_025].join(","));
        assert_eq!(refusal(&messages).0.as_deref(), Some("messages"));
        let part = r#"{"type":"text","text":"a"}"#;
        let parts = vec![part; 257].join(",");
        let parts = format!(r#"{{"messages":[{{"role":"user","content":[{parts}]}}]}}"#);
        assert_eq!(refusal(&parts).0.as_deref(), Some("messages[0].content"));
    }
}
