//! Validates the fields of keys.

use std::collections::BTreeMap;

use stockade_core::{
    client::IpPrefix,
    clock::Timestamp,
    identity::{Scope, ScopeSet},
};

use crate::{
    error::{ApiError, ApiResult},
    keys::TEAM,
    time,
};

/// The maximum lengths: of a text in bytes, and of lists.
const MAX_TEXT: usize = 256;
const MAX_ITEMS: usize = 200;

/// A short text without control characters. An empty one is none.
pub(super) fn text(field: &'static str, text: Option<String>) -> ApiResult<Option<String>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match is_text(&text) {
        true => Ok(Some(text)),
        false => Err(ApiError::invalid(field, TEXT_RULE)),
    }
}

const TEXT_RULE: &str = "must have up to 256 bytes and no control characters";

fn is_text(text: &str) -> bool {
    text.len() <= MAX_TEXT && !text.contains(char::is_control)
}

pub(super) fn scopes(texts: &[String]) -> ApiResult<ScopeSet> {
    let scopes: Vec<Scope> = each("scopes", texts)?;
    Ok(scopes.into_iter().collect())
}

pub(super) fn networks(texts: &[String]) -> ApiResult<Vec<IpPrefix>> {
    each("networks", texts)
}

pub(super) fn models(models: Vec<String>) -> ApiResult<Vec<String>> {
    check_length("models", models.len())?;
    match models
        .iter()
        .position(|name| name.is_empty() || !is_text(name))
    {
        Some(at) => Err(ApiError::invalid(format!("models[{at}]"), TEXT_RULE)),
        None => Ok(models),
    }
}

/// The metadata with the team, which is a part of it.
pub(super) fn metadata(
    mut metadata: BTreeMap<String, String>,
    team: Option<String>,
) -> ApiResult<BTreeMap<String, String>> {
    check_length("metadata", metadata.len())?;
    if metadata.contains_key(TEAM) {
        return Err(ApiError::invalid("metadata.team", "use the field `team`"));
    }
    for (name, value) in &metadata {
        if name.is_empty() || !is_text(name) || !is_text(value) {
            return Err(ApiError::invalid("metadata", TEXT_RULE));
        }
    }
    metadata.extend(text("team", team)?.map(|team| (TEAM.to_owned(), team)));
    Ok(metadata)
}

/// A time in the future.
pub(super) fn expiry(text: &str, now: Timestamp) -> ApiResult<Timestamp> {
    let at = time::parse(text).ok_or_else(|| {
        ApiError::invalid("expires_at", "must be a time such as 2030-01-31T12:00:00Z")
    })?;
    let millis = u64::try_from(at).unwrap_or_default();
    // A year before 2262 fits into nanoseconds of 63 bits, as databases have them.
    let nanos = millis
        .checked_mul(1_000_000)
        .filter(|nanos| *nanos <= i64::MAX as u64);
    let at = nanos.map(Timestamp::from_nanos).filter(|at| *at > now);
    at.ok_or_else(|| ApiError::invalid("expires_at", "must be in the future, before the year 2262"))
}

fn each<T>(field: &str, texts: &[String]) -> ApiResult<Vec<T>>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    check_length(field, texts.len())?;
    let parse = |(at, text): (usize, &String)| {
        let parsed = text.parse();
        parsed
            .map_err(|error: T::Err| ApiError::invalid(format!("{field}[{at}]"), error.to_string()))
    };
    texts.iter().enumerate().map(parse).collect()
}

fn check_length(field: &str, length: usize) -> ApiResult<()> {
    match length {
        0..=MAX_ITEMS => Ok(()),
        _ => Err(ApiError::invalid(
            field.to_owned(),
            "has more than 200 items",
        )),
    }
}
