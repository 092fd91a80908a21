//! Names and values of OpenTelemetry's semantic conventions.

use http::Method;
use opentelemetry::{Array, KeyValue, StringValue, Value};
use stockade_core::llm::ModelResponse;

use crate::api::routes;

/// The operation of a route, by the conventions for generative AI; `None` if they have none.
pub(super) fn operation(route: &str) -> Option<&'static str> {
    match route {
        routes::CHAT | routes::RESPONSES | routes::MESSAGES => Some("chat"),
        routes::COMPLETIONS => Some("text_completion"),
        routes::EMBEDDINGS => Some("embeddings"),
        _ => None,
    }
}

/// The attributes of an operation.
pub(super) fn gen_ai(operation: &'static str) -> [KeyValue; 2] {
    [
        KeyValue::new("gen_ai.operation.name", operation),
        KeyValue::new("gen_ai.provider.name", "stockade"),
    ]
}

/// The attributes of what a model has responded with.
pub(super) fn gen_ai_response(response: &ModelResponse) -> impl Iterator<Item = KeyValue> {
    let text = |name, text: Option<&str>| Some(KeyValue::new(name, text?.to_owned()));
    let reasons = response.finish_reasons().iter();
    let reasons: Vec<StringValue> = reasons.map(|reason| reason.to_string().into()).collect();
    let reasons = (!reasons.is_empty()).then_some(Value::Array(Array::String(reasons)));
    let attributes = [
        text("gen_ai.response.id", response.id()),
        text("gen_ai.response.model", response.model()),
        reasons.map(|reasons| KeyValue::new("gen_ai.response.finish_reasons", reasons)),
    ];
    attributes.into_iter().flatten()
}

/// The value for what no standard knows.
pub(super) const OTHER: &str = "_OTHER";

/// The method, or `_OTHER` for one that no standard knows.
pub(super) fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => OTHER,
    }
}

/// The start of a text, at most this long in bytes.
pub(super) fn bounded(text: &str, max: usize) -> String {
    text[..text.floor_char_boundary(max)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_clients_are_bounded() {
        assert_eq!(bounded("abc", 2), "ab");
        assert_eq!(bounded("aé", 2), "a");
        assert_eq!(bounded("a", 2), "a");
    }

    #[test]
    fn unknown_methods_have_one_name() {
        assert_eq!(known_method(&Method::PATCH), "PATCH");
        assert_eq!(known_method(&Method::from_bytes(b"FOO").unwrap()), OTHER);
    }
}
