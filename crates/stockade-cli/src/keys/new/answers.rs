//! Prompts for the properties of a new key.

use std::{collections::HashSet, str::FromStr};

use stockade_core::{
    clock::Timestamp,
    identity::{ScopeError, ScopeSet},
};
use stockade_key_auth::{KeyId, KeyRecord};

use super::DEFAULT_EXPIRY;
use crate::{CliError, escape::printable, prompt, time::Expiry};

/// Properties from flags or prompts; `None` for those that are not given.
pub(super) struct Answers {
    pub(super) owner: Option<String>,
    pub(super) scopes: ScopeSet,
    /// The inner `None` means that the key never expires.
    pub(super) expires: Option<Option<Timestamp>>,
}

/// Prompts for the id, and for the properties that no flag sets.
pub(super) fn prompt(
    given: Answers,
    existing: &[KeyRecord],
    now: Timestamp,
) -> Result<(KeyId, Answers), CliError> {
    let taken: HashSet<&str> = existing.iter().map(|record| record.id.as_str()).collect();
    let id = prompt::input("Id", &free_id(&taken), |id: &KeyId| {
        match taken.contains(id.as_str()) {
            true => Err("a key with this id exists already".to_owned()),
            false => Ok(()),
        }
    })?;
    let owner = match given.owner {
        Some(owner) => Some(owner),
        None => prompt::input("Owner, such as an e-mail address", "", |_: &Owner| Ok(()))?.0,
    };
    let scopes = match given.scopes.is_empty() {
        false => given.scopes,
        true => prompt::input("Scopes", "chat:write models:read", |_: &Scopes| Ok(()))?.0,
    };
    let expires = match given.expires {
        Some(expires) => expires,
        None => prompt::input(
            "Expires (90d, 2026-01-31, never)",
            DEFAULT_EXPIRY,
            |expires: &Expiry| expires.resolve(now).map(drop).map_err(str::to_owned),
        )?
        .resolve(now)
        .map_err(CliError::usage)?,
    };
    let answers = Answers {
        owner,
        scopes,
        expires: Some(expires),
    };
    Ok((id, answers))
}

/// The first of `key-1`, `key-2` … that is not in use.
fn free_id(taken: &HashSet<&str>) -> String {
    (1..)
        .map(|number: u64| format!("key-{number}"))
        .find(|id| !taken.contains(id.as_str()))
        .unwrap_or_default()
}

struct Owner(Option<String>);

impl FromStr for Owner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.is_empty() {
            true => Ok(Self(None)),
            false => printable(text).map(|owner| Self(Some(owner))),
        }
    }
}

/// Scopes separated by spaces or commas.
struct Scopes(ScopeSet);

impl FromStr for Scopes {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.replace(',', " ").parse().map(Self)
    }
}
