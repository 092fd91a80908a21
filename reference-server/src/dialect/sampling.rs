//! Checks of sampling parameters, which all dialects share.

use std::ops::RangeInclusive;

use stockade_core::refusal::Refusal;

use super::refusals::invalid;
use crate::chat::Sampling;

/// The maximum length of a stop sequence, in bytes.
const MAX_STOP_BYTES: usize = 256;

/// The parameters that have the same names in all dialects.
#[derive(Default)]
pub(super) struct Parameters {
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) top_k: Option<i64>,
    pub(super) min_p: Option<f64>,
    pub(super) frequency_penalty: Option<f64>,
    pub(super) presence_penalty: Option<f64>,
    pub(super) repetition_penalty: Option<f64>,
}

impl Parameters {
    /// Checks the parameters. The others have their defaults.
    ///
    /// # Errors
    /// Returns a refusal that names the field.
    pub(super) fn read(self, max_temperature: f64) -> Result<Sampling, Refusal> {
        let penalty = |param, value| within(param, value, -2.0..=2.0);
        Ok(Sampling {
            temperature: within("temperature", self.temperature, 0.0..=max_temperature)?,
            top_p: positive("top_p", self.top_p, 1.0)?,
            top_k: top_k("top_k", self.top_k)?,
            min_p: within("min_p", self.min_p, 0.0..=1.0)?,
            frequency_penalty: penalty("frequency_penalty", self.frequency_penalty)?,
            presence_penalty: penalty("presence_penalty", self.presence_penalty)?,
            repetition_penalty: positive("repetition_penalty", self.repetition_penalty, 10.0)?,
            ..Sampling::default()
        })
    }
}

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
fn positive(param: &str, value: Option<f64>, max: f64) -> Result<Option<f64>, Refusal> {
    match value {
        Some(value) if !(value > 0.0 && value <= max) => Err(invalid(
            param,
            format!("it must be greater than 0 and at most {max}"),
        )),
        value => Ok(value),
    }
}

/// Checks the number of likeliest tokens: vLLM's -1 keeps all, like 0.
fn top_k(param: &str, value: Option<i64>) -> Result<Option<u32>, Refusal> {
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
