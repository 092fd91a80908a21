//! Checks the request head before the body is read.

use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_LENGTH},
};
use http_body::SizeHint;
use stockade_core::{guard::Head, refusal::Refusal};

use crate::{
    Profile, media_type,
    memory::{Caller, MemoryBudget},
    profile::BodyFormat,
    refusal,
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
    if profile.format != BodyFormat::Streamed {
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
