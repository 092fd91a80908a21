//! Checks of the request head and of the complete body.

use bytes::Bytes;
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_LENGTH},
};
use http_body::SizeHint;
use stockade_core::{guard::Head, refusal::Refusal};

use crate::{
    ImageError, ImageErrorKind, ImageFormat, Profile, PromptKey, json, media_type,
    memory::{Caller, MemoryBudget},
    multipart,
    profile::BodyFormat,
    refusal,
    scan_error::ScanError,
    validator::{ValidationOutput, Validator},
    work_budget::WorkBudget,
};

/// Checks the head's claims about the body before reading any of it.
pub(crate) fn check_head(
    profile: &Profile,
    limit: u64,
    memory: &MemoryBudget,
    head: &Head,
    size: &SizeHint,
) -> Result<(), Refusal> {
    let length = match size.exact() {
        // An exact size is a fact, not a claim.
        Some(length) => length,
        None => claimed_length(&head.headers).max(size.lower()),
    };
    if length > limit {
        return Err(refusal::too_large(limit));
    }
    if profile.form != BodyFormat::Streamed {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        memory.check_available(length, || Caller::of(head).owner())?;
    }
    // The check and the handler must see the same bytes, so nothing may decode them later.
    let mut encodings = head.headers.get_all(CONTENT_ENCODING).iter();
    if !encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(refusal::encoded());
    }
    let types = &profile.content_types;
    if !types.is_empty() && !media_type::is_one_of(&head.headers, types) {
        return Err(refusal::unsupported_type(types));
    }
    Ok(())
}

/// Returns the declared length, or 0: rejecting an invalid header is up to the server.
fn claimed_length(headers: &HeaderMap) -> u64 {
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// Validates a complete body within this budget.
pub(crate) fn validate_body(
    profile: &Profile,
    memory: &MemoryBudget,
    prompt_key: Option<&PromptKey>,
    caller: Caller<'_>,
    headers: &HeaderMap,
    body: &Bytes,
    budget: &WorkBudget,
) -> Result<ValidationOutput, ScanError> {
    let mut validator = Validator::new(profile, caller, memory, prompt_key, budget, body);
    match profile.form {
        BodyFormat::Streamed | BodyFormat::Whole => {}
        BodyFormat::Json => json::scan(body, profile.json_limits, budget, &mut validator)?,
        BodyFormat::Image => image(headers, body, &mut validator)?,
        BodyFormat::Multipart => form(headers, body, budget, &mut validator)?,
    }
    Ok(validator.into_output())
}

fn image(
    headers: &HeaderMap,
    body: &Bytes,
    validator: &mut Validator<'_>,
) -> Result<(), ScanError> {
    let essence = media_type::essence(headers);
    let essence = essence.as_deref().map_or(&b""[..], str::as_bytes);
    let declared = validator.image_rules().declared(essence);
    if declared.is_none() && ImageFormat::from_common_media_type(essence).is_some() {
        return Err(ImageError::from(ImageErrorKind::Unsupported).into());
    }
    validator.image_bytes(declared, body.clone())
}

fn form(
    headers: &HeaderMap,
    body: &Bytes,
    budget: &WorkBudget,
    validator: &mut Validator<'_>,
) -> Result<(), ScanError> {
    let boundary = media_type::boundary(headers).ok_or_else(refusal::invalid_form)?;
    multipart::validate(body, boundary, budget, validator)
}
