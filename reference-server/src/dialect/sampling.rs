//! Checks of sampling parameters, which all dialects share.

use std::ops::RangeInclusive;

use stockade_core::refusal::Refusal;

use super::refusals::invalid;

/// The maximum length of a stop sequence, in bytes.
const MAX_STOP_BYTES: usize = 256;

/// Checks a number, if the request has it.
pub(super) fn within(
    param: &str,
    value: Option<f64>,
    range: RangeInclusive<f64>,
) -> Result<Option<f64>, Refusal> {
    match value {
        Some(value) if !range.contains(&value) => {
            let (start, end) = range.into_inner();
            Err(invalid(param, format!("it must be from {start} to {end}")))
        }
        value => Ok(value),
    }
}

/// Checks a number that is greater than 0 and at most `max`.
pub(super) fn positive(param: &str, value: Option<f64>, max: f64) -> Result<Option<f64>, Refusal> {
    match value {
        Some(value) if !(value > 0.0 && value <= max) => Err(invalid(
            param,
            format!("it must be greater than 0 and at most {max}"),
        )),
        value => Ok(value),
    }
}

/// Checks the number of likeliest tokens: vLLM's -1 keeps all, like 0.
pub(super) fn top_k(param: &str, value: Option<i64>) -> Result<Option<u32>, Refusal> {
    let convert = |value| match value {
        -1 => Ok(0),
        value => u32::try_from(value)
            .map_err(|_| invalid(param, "it must be -1, 0 or a positive number of tokens")),
    };
    value.map(convert).transpose()
}

/// Checks stop sequences.
pub(super) fn stop(param: &str, stop: Vec<String>) -> Result<Vec<String>, Refusal> {
    let allowed = |text: &String| !text.is_empty() && text.len() <= MAX_STOP_BYTES;
    if stop.iter().all(allowed) {
        Ok(stop)
    } else {
        Err(invalid(
            param,
            "a stop sequence must have from 1 to 256 bytes",
        ))
    }
}
