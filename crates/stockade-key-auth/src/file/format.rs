//! The text of a key file.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_saphyr::Spanned;
use stockade_core::{ScopeSet, Timestamp};

use crate::{KeyId, KeyRecord, KeySet};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    keys: Option<Vec<Spanned<Key>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    key_id: Spanned<String>,
    hash: Spanned<String>,
    owner: Option<String>,
    scopes: Option<Spanned<Vec<String>>>,
    created_at: Option<Spanned<String>>,
    expires_at: Option<Spanned<String>>,
}

pub(super) struct Problem {
    pub(super) line: Option<u64>,
    pub(super) message: String,
}

impl Problem {
    fn at<T>(field: &Spanned<T>, message: impl ToString) -> Self {
        Self {
            line: Some(field.defined.line()).filter(|line| *line > 0),
            message: message.to_string(),
        }
    }
}

pub(super) fn parse(text: &str) -> Result<KeySet, Problem> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| Problem {
        line: error.location().map(|location| location.line()),
        // A snippet of the file could show a hash.
        message: error.without_snippet().to_string(),
    })?;
    let keys = match file.keys {
        Some(keys) if !ends_in_a_name(text) => keys,
        // YAML reads a name without a value as null: no keys, or a key without expiry.
        _ => {
            return Err(Problem {
                line: Some(text.lines().count().max(1) as u64),
                message: "it ends in the middle, or has no list under `keys`; write \
                          `keys: []` for no keys"
                    .to_owned(),
            });
        }
    };
    let mut records = Vec::with_capacity(keys.len());
    for key in &keys {
        records.push(record(&key.value)?);
    }
    KeySet::new(records).map_err(|error| {
        let named = |key: &&Spanned<Key>| key.value.key_id.value == error.id().as_str();
        match keys.iter().rfind(named) {
            Some(key) => Problem::at(key, &error),
            None => Problem {
                line: None,
                message: error.to_string(),
            },
        }
    })
}

/// Whether a file that is still being written has got as far as `expires_at:`.
fn ends_in_a_name(text: &str) -> bool {
    text.trim_end().ends_with(':')
}

fn record(key: &Key) -> Result<KeyRecord, Problem> {
    let id: KeyId = read(&key.key_id, "key_id", "", str::parse)?;
    let about = format!("key {id}: ");
    let hash = read(&key.hash, "hash", &about, str::parse::<crate::KeyHash>)?;
    let mut record = KeyRecord::new(id, hash);
    if let Some(scopes) = &key.scopes {
        let parsed: Result<ScopeSet, _> = scopes.value.iter().map(|scope| scope.parse()).collect();
        let refused = |error| Problem::at(scopes, format!("{about}scopes: {error}"));
        record = record.scopes(parsed.map_err(refused)?);
    }
    if let Some(owner) = &key.owner {
        record = record.owner(owner.as_str());
    }
    if let Some(at) = &key.created_at {
        record = record.created(read(at, "created_at", &about, timestamp)?);
    }
    if let Some(at) = &key.expires_at {
        record = record.expires(read(at, "expires_at", &about, timestamp)?);
    }
    Ok(record)
}

fn read<T, E>(
    field: &Spanned<String>,
    name: &str,
    about: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Problem>
where
    E: ToString,
{
    parse(&field.value)
        .map_err(|error| Problem::at(field, format!("{about}{name}: {}", error.to_string())))
}

fn timestamp(text: &str) -> Result<Timestamp, &'static str> {
    let error = "it is no time; write it like 2026-01-31T23:59:59Z";
    let time: jiff::Timestamp = text.parse().map_err(|_| error)?;
    let nanos =
        u64::try_from(time.as_nanosecond()).map_err(|_| "it is before 1970 or after 2554")?;
    Ok(Timestamp::from_nanos(nanos))
}

/// The YAML entry of a key, to be put under `keys:` of a key file.
pub fn to_yaml(record: &KeyRecord) -> String {
    let mut yaml = String::new();
    let mut field = |name: &str, value: &str| {
        let lead = if name == "key_id" { "  - " } else { "    " };
        let written = writeln!(yaml, "{lead}{name}: {value}");
        debug_assert!(written.is_ok(), "a string takes everything");
    };
    let time = |at: Timestamp| {
        jiff::Timestamp::from_second(at.as_secs().cast_signed())
            .map(|time| quote(&time.to_string()))
            .unwrap_or_default()
    };
    field("key_id", &quote(record.id().as_str()));
    field("hash", &quote(&record.hash().to_string()));
    let principal = record.principal();
    if let Some(owner) = principal.attribute("owner") {
        field("owner", &quote(owner));
    }
    let scopes: Vec<String> = principal
        .scopes()
        .iter()
        .map(|scope| quote(scope.as_str()))
        .collect();
    field("scopes", &format!("[{}]", scopes.join(", ")));
    if let Some(at) = record.created_at() {
        field("created_at", &time(at));
    }
    if let Some(at) = record.expires_at() {
        field("expires_at", &time(at));
    }
    yaml
}

/// A YAML double-quoted scalar.
fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() || "\u{2028}\u{2029}\u{feff}".contains(control) => {
                let written = write!(quoted, "\\U{:08X}", u32::from(control));
                debug_assert!(written.is_ok(), "a string takes everything");
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
