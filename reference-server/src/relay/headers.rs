//! The headers that pass between clients and upstreams.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT, CONTENT_TYPE},
};
use stockade_core::context::RequestContext;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Headers of requests that select versions of an API.
const PASSED: [HeaderName; 3] = [
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("anthropic-beta"),
    HeaderName::from_static("openai-beta"),
];

/// The headers of a request to an upstream. Everything else of the client, its credential
/// included, stays here.
pub(crate) fn request(client: &HeaderMap, context: &RequestContext, stream: bool) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    let json = HeaderValue::from_static("application/json");
    headers.insert(CONTENT_TYPE, json.clone());
    headers.insert(
        ACCEPT,
        match stream {
            true => HeaderValue::from_static("text/event-stream"),
            false => json,
        },
    );
    for name in PASSED {
        if let Some(value) = client.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    headers.extend(trace(client));
    if let Ok(id) = HeaderValue::try_from(context.id().to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    headers
}

/// The trace of a client, which the upstream continues; empty without a valid `traceparent`.
pub(crate) fn trace(client: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let parent = client.get(TRACEPARENT);
    if let Some(parent) = parent.filter(|value| is_traceparent(value)) {
        headers.insert(TRACEPARENT, parent.clone());
        for state in client.get_all(TRACESTATE) {
            headers.append(TRACESTATE, state.clone());
        }
    }
    headers
}

/// Whether a value has the form of a `traceparent` (W3C Trace Context, 3.2). Other values are not
/// passed on, as if there were none.
fn is_traceparent(value: &HeaderValue) -> bool {
    let is_hex = |field: &str, length: usize| {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        field.len() == length && field.bytes().all(hex)
    };
    let is_zero = |field: &str| field.bytes().all(|byte| byte == b'0');
    let Ok(text) = value.to_str() else {
        return false;
    };
    let fields: Vec<&str> = text.splitn(5, '-').collect();
    match fields.as_slice() {
        [version, trace, parent, flags, rest @ ..] => {
            is_hex(version, 2)
                && *version != "ff"
                && is_hex(trace, 32)
                && !is_zero(trace)
                && is_hex(parent, 16)
                && !is_zero(parent)
                && is_hex(flags, 2)
                // Later versions may have more fields.
                && (rest.is_empty() || *version != "00")
        }
        _ => false,
    }
}

/// Whether a response has a body of this type.
pub(crate) fn has_type(headers: &HeaderMap, essence: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).map_or(&b""[..], |v| v.as_bytes());
    let actual = value.split(|byte| *byte == b';').next().unwrap_or_default();
    actual.trim_ascii().eq_ignore_ascii_case(essence.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_clients_credential_stays_here() {
        let mut client = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer sk_client"),
            ("x-api-key", "sk_client"),
            ("cookie", "session=1"),
            ("x-forwarded-for", "10.0.0.1"),
            ("openai-organization", "org"),
            ("host", "public.example"),
            ("content-length", "7"),
            ("traceparent", PARENT),
            ("tracestate", "a=1"),
            ("anthropic-version", "2023-06-01"),
        ] {
            client.insert(name, HeaderValue::from_static(value));
        }
        let sent = request(&client, &RequestContext::new(), true);
        let mut names: Vec<&str> = sent.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "accept",
                "anthropic-version",
                "content-type",
                "traceparent",
                "tracestate",
                "x-request-id"
            ]
        );
    }

    #[test]
    fn only_a_valid_traceparent_is_passed_on() {
        for (value, valid) in [
            (PARENT, true),
            (
                "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
                true,
            ),
            (
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
                false,
            ),
            (
                "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                false,
            ),
            (
                "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                false,
            ),
            (
                "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                false,
            ),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736", false),
            ("", false),
        ] {
            let value = HeaderValue::from_static(value);
            assert_eq!(is_traceparent(&value), valid, "{value:?}");
        }
    }

    #[test]
    fn compares_types_without_parameters() {
        let mut headers = HeaderMap::new();
        assert!(!has_type(&headers, "application/json"));
        let value = HeaderValue::from_static("Application/JSON; charset=utf-8");
        headers.insert(CONTENT_TYPE, value);
        assert!(has_type(&headers, "application/json"));
        assert!(!has_type(&headers, "text/event-stream"));
    }
}
