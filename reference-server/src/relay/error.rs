//! Refusals for failures of upstreams.
//!
//! A client learns what it can do: fix the request, retry, or nothing. What is wrong with the
//! upstream is in the log, in metrics and in `/health/details`.

use std::{sync::LazyLock, time::Duration};

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use http_body_util::{BodyExt, Collected, Limited};
use regex::Regex;
use serde::Deserialize;
use stockade_core::refusal::{Refusal, RefusalKind};

use crate::{
    api::refusals::model_timeout,
    dialect::is_plain_path,
    upstream::{UpstreamError, UpstreamErrorKind as Kind, UpstreamResponse},
};

/// The maximum size of an error object, in bytes.
const MAX_ERROR_BODY: usize = 64 * 1024;
/// The maximum length of an upstream's message that a response repeats, in characters.
const MAX_MESSAGE: usize = 512;

/// The refusal for an exchange that failed.
pub(crate) fn upstream_refusal(error: &UpstreamError) -> Refusal {
    let bad_gateway =
        |code, text: &'static str| Refusal::new(RefusalKind::BadGateway, text).with_code(code);
    let unavailable = |code, text: &'static str, retry_after: Duration| {
        Refusal::new(RefusalKind::Unavailable, text)
            .with_code(code)
            .retry_after(retry_after)
    };
    match error.kind() {
        Kind::Connect | Kind::Tls => bad_gateway(
            "UPSTREAM_UNREACHABLE",
            "the server of this model cannot be reached: try again later",
        ),
        Kind::FirstByteTimeout | Kind::IdleTimeout => Refusal::new(
            RefusalKind::GatewayTimeout,
            "the server of this model did not respond in time",
        )
        .with_code("UPSTREAM_TIMEOUT"),
        Kind::Deadline => model_timeout(),
        Kind::QueueFull { retry_after } => {
            unavailable("QUEUE_FULL", "the model's queue is full", retry_after)
        }
        Kind::QueueTimeout { retry_after } => unavailable(
            "QUEUE_TIMEOUT",
            "the request waited too long for the model",
            retry_after,
        ),
        Kind::Unavailable { retry_after } => unavailable(
            "UPSTREAM_UNAVAILABLE",
            "no server of this model is available: try again later",
            retry_after,
        ),
        _ => invalid_response(),
    }
}

/// The response of the upstream is incomplete, too large, or not of its API.
pub(crate) fn invalid_response() -> Refusal {
    let text = "the server of this model gave an incomplete or invalid response";
    Refusal::new(RefusalKind::BadGateway, text).with_code("UPSTREAM_FAILED")
}

/// The refusal for a response with an error status.
pub(crate) async fn error_response(response: UpstreamResponse) -> Refusal {
    let (status, headers) = (response.status, response.headers);
    let body = Limited::new(response.body, MAX_ERROR_BODY).collect().await;
    let body = body.map(Collected::to_bytes).unwrap_or_default();
    status_refusal(status, &headers, &body)
}

/// The refusal for an error status of the upstream.
fn status_refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Refusal {
    match status {
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => rejected(status, body),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            let text = "the server of this model is busy: try again later";
            Refusal::new(RefusalKind::Unavailable, text)
                .with_code("UPSTREAM_BUSY")
                .retry_after(retry_after(headers))
        }
        StatusCode::GATEWAY_TIMEOUT => Refusal::new(
            RefusalKind::GatewayTimeout,
            "the server of this model did not respond in time",
        )
        .with_code("UPSTREAM_TIMEOUT"),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            failed("the upstream does not accept the key of this gateway")
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            failed("the upstream does not know the model or the route")
        }
        _ => failed("the upstream responded with an error"),
    }
}

fn failed(internal_reason: &'static str) -> Refusal {
    let text = "the server of this model could not handle the request";
    Refusal::new(RefusalKind::BadGateway, text)
        .with_code("UPSTREAM_FAILED")
        .with_internal_reason(internal_reason)
}

/// The upstream rejects the request: the client gets its message, because it can fix the request.
fn rejected(status: StatusCode, body: &[u8]) -> Refusal {
    let kind = match status {
        StatusCode::PAYLOAD_TOO_LARGE => RefusalKind::TooLarge,
        _ => RefusalKind::Invalid,
    };
    let error = Rejection::parse(body);
    let text = match error.message {
        Some(message) => format!("the model's server rejects the request: {message}"),
        None => "the model's server rejects the request".to_owned(),
    };
    let refusal = Refusal::new(kind, text).with_code("UPSTREAM_REJECTED");
    match error.param {
        Some(param) => refusal.with_param(param),
        None => refusal,
    }
}

/// The parts of an error object that a client gets.
#[derive(Default)]
struct Rejection {
    message: Option<String>,
    param: Option<String>,
}

impl Rejection {
    fn parse(body: &[u8]) -> Self {
        // OpenAI's form, vLLM's older form, and FastAPI's.
        #[derive(Deserialize)]
        struct Body {
            error: Option<Inner>,
            message: Option<String>,
            detail: Option<String>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Inner {
            Object {
                message: String,
                param: Option<String>,
            },
            Text(String),
        }

        let Ok(body) = serde_json::from_slice::<Body>(body) else {
            return Self::default();
        };
        let (message, param) = match body.error {
            Some(Inner::Object { message, param }) => (Some(message), param),
            Some(Inner::Text(message)) => (Some(message), None),
            None => (body.message.or(body.detail), None),
        };
        Self {
            message: message.as_deref().and_then(public_line),
            param: param.filter(|param| !param.is_empty() && is_plain_path(param)),
        }
    }
}

/// The first line of a message, without what could describe the upstream's machine.
fn public_line(message: &str) -> Option<String> {
    /// Memory addresses, paths and URLs.
    static PRIVATE: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r"0x[0-9a-fA-F]{6,}|[a-z]+://\S+|(?:/[\w.@+-]+){2,}/?";
        Regex::new(pattern).expect("a literal pattern")
    });

    let line = message.lines().next()?.trim();
    let line = PRIVATE.replace_all(line, "…");
    let printable = line.chars().filter(|c| !c.is_control());
    Some(printable.take(MAX_MESSAGE).collect())
}

/// The upstream's `Retry-After` in seconds, from 1 to 600.
fn retry_after(headers: &HeaderMap) -> Duration {
    let value = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let seconds: Option<u64> = value.and_then(|value| value.trim().parse().ok());
    Duration::from_secs(seconds.unwrap_or(5).clamp(1, 600))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> (u16, &'static str, String) {
        let status = StatusCode::from_u16(status).unwrap();
        let refusal = status_refusal(status, &HeaderMap::new(), body.as_bytes());
        (
            refusal.kind().status().as_u16(),
            refusal.code(),
            refusal.message().to_owned(),
        )
    }

    #[test]
    fn an_error_of_the_upstream_is_none_of_the_client() {
        for (status, expected, code) in [
            (401, 502, "UPSTREAM_FAILED"),
            (403, 502, "UPSTREAM_FAILED"),
            (404, 502, "UPSTREAM_FAILED"),
            (429, 503, "UPSTREAM_BUSY"),
            (500, 502, "UPSTREAM_FAILED"),
            (503, 503, "UPSTREAM_BUSY"),
            (504, 504, "UPSTREAM_TIMEOUT"),
            (418, 502, "UPSTREAM_FAILED"),
        ] {
            let body = r#"{"error":{"message":"secret of /etc/vllm/config"}}"#;
            let (was, was_code, message) = refusal(status, body);
            assert_eq!((was, was_code), (expected, code), "{status}");
            assert!(!message.contains("secret"), "{message}");
        }
    }

    // I09
    #[test]
    fn a_rejection_has_the_message_without_addresses_and_paths() {
        for body in [
            r#"{"error":{"message":"cannot identify <BytesIO object at 0x7f3a91c2d540> in /usr/lib/python3/PIL/Image.py\nTraceback"}}"#,
            r#"{"message":"cannot identify <BytesIO object at 0x7f3a91c2d540> in /usr/lib/python3/PIL/Image.py"}"#,
            r#"{"error":"cannot identify <BytesIO object at 0x7f3a91c2d540> in file:///usr/lib/a.py"}"#,
        ] {
            let (status, code, message) = refusal(400, body);
            assert_eq!((status, code), (400, "UPSTREAM_REJECTED"));
            assert!(
                message.ends_with("cannot identify <BytesIO object at …> in …"),
                "{message}"
            );
        }
        let named = br#"{"error":{"message":"no","param":"messages[0].content"}}"#;
        let named = rejected(StatusCode::BAD_REQUEST, named);
        assert_eq!(named.param(), Some("messages[0].content"));
        let unusual = br#"{"error":{"message":"no","param":"a\u001b[2J"}}"#;
        assert_eq!(rejected(StatusCode::BAD_REQUEST, unusual).param(), None);
        let long = format!(r#"{{"detail":"{}"}}"#, "x".repeat(10_000));
        assert!(refusal(422, &long).2.len() < 600);
        assert_eq!(refusal(413, "<html>").0, 413);
    }
}
