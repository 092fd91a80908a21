//! Validates a complete body.

use bytes::Bytes;
use http::HeaderMap;

use crate::{
    ImageError, ImageErrorKind, ImageFormat, Profile, PromptKey, json, media_type,
    memory::{Caller, MemoryBudget},
    profile::BodyFormat,
    scan_error::ScanError,
    validator::{ValidationOutput, Validator},
    work_budget::WorkBudget,
};

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
    match profile.format {
        BodyFormat::Streamed | BodyFormat::Whole => {}
        BodyFormat::Json if validator.accepts_plain_chat() => {}
        BodyFormat::Json => json::scan(body, profile.json_limits, budget, &mut validator)?,
        BodyFormat::Image => image(headers, body, &mut validator)?,
        #[cfg(feature = "multipart")]
        BodyFormat::Multipart => {
            crate::multipart::validate(headers, body, budget, &mut validator)?;
        }
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
