//! Reads a JSON body within its limits of type, size and time.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{
    header::{CONTENT_ENCODING, CONTENT_TYPE},
    request::Parts,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use stockade_core::refusal::{Refusal, RefusalKind};
use tokio::time;

use super::refusals;
use crate::fence::BodyLimit;

/// Reads the body of a request, up to the [`BodyLimit`] in its extensions.
///
/// # Errors
/// Returns a refusal if the body is not JSON by its type, too large, incomplete or too slow.
pub(super) async fn read(head: &Parts, body: Body, within: Duration) -> Result<Bytes, Refusal> {
    let Some(limit) = head.extensions.get::<BodyLimit>() else {
        return Err(refusals::internal("no body limit layer wraps this handler"));
    };
    check_type(head)?;
    let body = Limited::new(body, limit.bytes());
    match time::timeout(within, body.collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(limit.refusal()),
        Ok(Err(_)) => Err(Refusal::new(
            RefusalKind::Invalid,
            "the body ended before it was complete",
        )),
        Err(_) => Err(Refusal::new(
            RefusalKind::Timeout,
            "the body took too long to arrive: send it faster, or make it smaller",
        )),
    }
}

fn check_type(head: &Parts) -> Result<(), Refusal> {
    let value = |name| head.headers.get(name).map_or(&b""[..], |v| v.as_bytes());
    let essence = value(CONTENT_TYPE).split(|byte| *byte == b';').next();
    let essence = essence.unwrap_or_default().trim_ascii();
    if !essence.eq_ignore_ascii_case(b"application/json") {
        return Err(Refusal::new(
            RefusalKind::UnsupportedType,
            "the body must be JSON: send it with `Content-Type: application/json`",
        ));
    }
    let encoding = value(CONTENT_ENCODING);
    if encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity") {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalKind::UnsupportedType,
        "compressed bodies are not supported: send the body without `Content-Encoding`",
    ))
}
