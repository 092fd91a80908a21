//! The verdicts: on what a body claims to be, and on what it is.

use bytes::Bytes;
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_LENGTH},
};
use http_body::SizeHint;
use stockade_core::{guard::Head, refusal::Refusal};

use crate::{
    ImageError, ImageErrorKind, ImageFormat, Profile, PromptKey,
    effort::Effort,
    halt::Halt,
    json,
    judge::{Findings, Judge},
    media_type,
    memory::{Caller, Memory},
    multipart,
    profile::Form,
    refusal,
};

/// Judges what the head says of the body, before a byte of it is read.
pub(crate) fn of_head(
    profile: &Profile,
    limit: u64,
    memory: &Memory,
    head: &Head,
    size: &SizeHint,
) -> Result<(), Refusal> {
    let length = match size.exact() {
        // Then it is no claim.
        Some(length) => length,
        None => claimed_length(&head.headers).max(size.lower()),
    };
    if length > limit {
        return Err(refusal::too_large(limit));
    }
    if profile.form != Form::Streamed {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        memory.has(length, || Caller::of(head).owner())?;
    }
    // A body that is judged as it is must not mean something else to who decodes it.
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

/// A length that cannot be read is the server's to refuse.
fn claimed_length(headers: &HeaderMap) -> u64 {
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// Judges a body that was read whole, within this effort.
pub(crate) fn of_body(
    profile: &Profile,
    memory: &Memory,
    prompt_key: Option<&PromptKey>,
    caller: Caller<'_>,
    headers: &HeaderMap,
    body: &Bytes,
    effort: &Effort,
) -> Result<Findings, Halt> {
    let mut judge = Judge::new(profile, caller, memory, prompt_key, effort, body);
    match profile.form {
        Form::Streamed | Form::Whole => {}
        Form::Json => json::scan(body, profile.json_limits, effort, &mut judge)?,
        Form::Image => image(headers, body, &mut judge)?,
        Form::Multipart => form(headers, body, effort, &mut judge)?,
    }
    Ok(judge.into_findings())
}

fn image(headers: &HeaderMap, body: &Bytes, judge: &mut Judge<'_>) -> Result<(), Halt> {
    let essence = media_type::essence(headers);
    let essence = essence.as_deref().map_or(&b""[..], str::as_bytes);
    let declared = judge.image_rules().declared(essence);
    if declared.is_none() && ImageFormat::from_usual_media_type(essence).is_some() {
        return Err(ImageError::from(ImageErrorKind::Unsupported).into());
    }
    judge.image_bytes(declared, body.clone())
}

fn form(
    headers: &HeaderMap,
    body: &Bytes,
    effort: &Effort,
    judge: &mut Judge<'_>,
) -> Result<(), Halt> {
    let boundary = media_type::boundary(headers).ok_or_else(refusal::invalid_form)?;
    multipart::judge(body, boundary, effort, judge)
}
