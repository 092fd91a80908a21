//! The refusals of this crate. They name the rule and never the content.

#[cfg(feature = "multipart")]
pub(crate) mod form;

use std::{fmt::Display, time::Duration};

use http::{HeaderValue, header::ACCEPT_ENCODING};
use stockade_core::refusal::{Refusal, RefusalKind, RefusalReason};

use crate::memory::MemoryExceeded;

fn invalid(code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal::new(RefusalKind::Invalid, message.into()).with_code(code)
}

pub(crate) fn too_large(limit: u64) -> Refusal {
    Refusal::new(
        RefusalKind::TooLarge,
        format!("the body is larger than {limit} bytes"),
    )
}

pub(crate) fn encoded() -> Refusal {
    Refusal::new(
        RefusalKind::UnsupportedType,
        "encoded bodies are not accepted; send it without Content-Encoding",
    )
    .with_code("UNSUPPORTED_ENCODING")
    // RFC 9110, section 12.5.3.
    .with_header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
}

pub(crate) fn unsupported_type(accepted: &[impl Display]) -> Refusal {
    let accepted: Vec<String> = accepted.iter().map(ToString::to_string).collect();
    Refusal::new(
        RefusalKind::UnsupportedType,
        format!("send the body as {}", accepted.join(" or ")),
    )
}

pub(crate) fn too_slow(cause: &'static str) -> Refusal {
    Refusal::new(RefusalKind::Timeout, "the body arrived too slowly").with_internal_reason(cause)
}

pub(crate) fn unreadable() -> Refusal {
    invalid("UNREADABLE_BODY", "the body ended before it was complete")
}

impl From<MemoryExceeded> for Refusal {
    fn from(error: MemoryExceeded) -> Self {
        let refusal = match error {
            MemoryExceeded::Total => Self::new(
                RefusalKind::Unavailable,
                "too many request bodies at the moment; try again",
            )
            .with_internal_reason("the memory limit for bodies is reached"),
            MemoryExceeded::Owner => Self::new(
                RefusalKind::RateLimited,
                "the bodies of your concurrent requests are too large; wait until some requests complete",
            )
            .with_code("BODY_MEMORY_LIMIT")
            .with_internal_reason("the memory limit for the bodies of one client is reached"),
        };
        refusal.retry_after(Duration::from_secs(1))
    }
}

/// The runtime shut down before the validation ran.
pub(crate) fn not_validated() -> Refusal {
    Refusal::new(
        RefusalKind::Unavailable,
        "the server is stopping; try again",
    )
    .with_internal_reason("the runtime is shutting down")
    .retry_after(Duration::from_secs(1))
}

pub(crate) fn wrong_kind(wanted: &str) -> Refusal {
    invalid("VALIDATION_ERROR", format!("the value must be {wanted}"))
}

pub(crate) fn missing<'n>(required: impl Iterator<Item = &'n str>) -> Refusal {
    let required: Vec<&str> = required.collect();
    invalid(
        "VALIDATION_ERROR",
        format!(
            "the object must have these members: {}",
            required.join(", ")
        ),
    )
}

pub(crate) fn out_of_range(from: impl Display, to: impl Display) -> Refusal {
    let message = format!("the value must be a number from {from} to {to}");
    invalid("VALUE_OUT_OF_RANGE", message)
}

pub(crate) fn not_whole(from: i64, to: i64) -> Refusal {
    let message = format!("the value must be a whole number from {from} to {to}");
    invalid("VALUE_OUT_OF_RANGE", message)
}

pub(crate) fn too_long(limit: impl Display, unit: &str) -> Refusal {
    let message = format!("the value is longer than {limit} {unit}");
    invalid("VALUE_TOO_LONG", message)
}

pub(crate) fn too_many(limit: impl Display, what: &str) -> Refusal {
    invalid(
        "TOO_MANY_ITEMS",
        format!("the limit of {limit} {what} is exceeded"),
    )
}

pub(crate) fn too_many_images(limit: usize) -> Refusal {
    let message = format!("the request has more than {limit} images");
    invalid("TOO_MANY_IMAGES", message)
}

pub(crate) fn images_too_large(limit: u64) -> Refusal {
    let message = format!("the images are larger than {limit} bytes in total");
    Refusal::new(RefusalKind::TooLarge, message).with_code("IMAGE_TOO_LARGE")
}

pub(crate) fn type_mismatch() -> Refusal {
    invalid("INVALID_IMAGE", "the image is not of the declared type")
        .with_reason(RefusalReason::UnsupportedContent)
}

pub(crate) fn prompt_too_long(limit: u64) -> Refusal {
    let message = format!("the prompt is longer than {limit} characters");
    invalid("PROMPT_TOO_LONG", message)
}

pub(crate) fn unsupported() -> Refusal {
    invalid("UNSUPPORTED_CONTENT", "this is not supported; remove it")
        .with_reason(RefusalReason::UnsupportedContent)
}

pub(crate) fn unknown_member() -> Refusal {
    invalid(
        "UNSUPPORTED_CONTENT",
        "the object has an unsupported member; remove it",
    )
    .with_reason(RefusalReason::UnsupportedContent)
}

pub(crate) fn confusable_member() -> Refusal {
    invalid(
        "VALIDATION_ERROR",
        "a member's name differs from a known name only in letter case",
    )
}

/// The refusal of a name that is too long for any model.
pub(crate) fn no_model() -> Refusal {
    Refusal::new(RefusalKind::NotFound, "no such model").with_code("MODEL_NOT_FOUND")
}

/// The refusal of unknown models and of models of others, which are not distinguished.
pub(crate) fn model_not_allowed() -> Refusal {
    Refusal::new(RefusalKind::Forbidden, "this model is not available to you")
        .with_code("MODEL_NOT_ALLOWED")
}
