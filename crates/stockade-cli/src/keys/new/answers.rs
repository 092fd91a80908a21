//! What a new key needs to know, asked on a terminal.

use std::{collections::HashSet, str::FromStr};

use stockade_core::{ScopeError, ScopeSet, Timestamp};
use stockade_key_auth::{KeyId, KeyRecord};

use super::USUAL_LIFETIME;
use crate::{Failure, ask, moment::Expiry, visible::visible_text};

/// What flags or answers say of a key; `None` where they say nothing.
pub(super) struct Answers {
    pub(super) owner: Option<String>,
    pub(super) scopes: ScopeSet,
    /// Within it, `None` is for never.
    pub(super) expires: Option<Option<Timestamp>>,
}

/// Asks for the id, and for what the flags have not said.
pub(super) fn ask(
    given: Answers,
    existing: &[KeyRecord],
    now: Timestamp,
) -> Result<(KeyId, Answers), Failure> {
    let taken: HashSet<&str> = existing.iter().map(|record| record.id.as_str()).collect();
    let id = ask::value("Id", &free_id(&taken), |id: &KeyId| {
        match taken.contains(id.as_str()) {
            true => Err("there is a key with this id already".to_owned()),
            false => Ok(()),
        }
    })?;
    let owner = match given.owner {
        Some(owner) => Some(owner),
        None => ask::value("Owner, such as an e-mail address", "", |_: &Owner| Ok(()))?.0,
    };
    let scopes = match given.scopes.is_empty() {
        false => given.scopes,
        true => ask::value("Scopes", "chat:write models:read", |_: &Scopes| Ok(()))?.0,
    };
    let expires = match given.expires {
        Some(expires) => expires,
        None => ask::value(
            "Expires (90d, 2026-01-31, never)",
            USUAL_LIFETIME,
            |expires: &Expiry| expires.from(now).map(drop).map_err(str::to_owned),
        )?
        .from(now)
        .map_err(Failure::usage)?,
    };
    let answers = Answers {
        owner,
        scopes,
        expires: Some(expires),
    };
    Ok((id, answers))
}

/// The first of `key-1`, `key-2` … that is not taken.
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
            false => visible_text(text).map(|owner| Self(Some(owner))),
        }
    }
}

/// Divided by spaces or commas, whichever comes to mind.
struct Scopes(ScopeSet);

impl FromStr for Scopes {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.replace(',', " ").parse().map(Self)
    }
}
