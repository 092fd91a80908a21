//! Issues a key: its hash goes to the store, and the key is shown once.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use stockade_core::clock::Timestamp;
use stockade_key_auth::{GeneratedKey, KeyHash, KeyId, KeyRecord, to_yaml};

use super::{key_view::KeyView, location::StoreLocation};
use crate::{
    CliError,
    escape::escape,
    output::{self, BOLD},
    secret,
};

/// Options for generating and showing a key.
#[derive(Args, Clone, Debug)]
pub(crate) struct SecretArgs {
    /// The prefix of the key: a lowercase letter and up to 15 more letters or digits
    #[arg(long, default_value = "sk")]
    prefix: String,
    /// Store an HMAC of the key with the pepper in this file, instead of its SHA-256
    ///
    /// The server needs the same pepper: the bytes of the file without a line feed at the end.
    #[arg(long, value_name = "FILE")]
    pepper_file: Option<PathBuf>,
    /// Write JSON: the key, its record and its YAML entry
    #[arg(long)]
    json: bool,
}

/// A new key and its hash.
pub(crate) struct IssuedKey {
    key: GeneratedKey,
    pub(crate) hash: KeyHash,
}

impl SecretArgs {
    pub(crate) fn is_peppered(&self) -> bool {
        self.pepper_file.is_some()
    }

    pub(crate) fn issue(&self, id: KeyId) -> Result<IssuedKey, CliError> {
        let pepper = self
            .pepper_file
            .as_deref()
            .map(secret::read_pepper)
            .transpose()?;
        let key = GeneratedKey::new(&self.prefix, id)?;
        let hash = match pepper {
            Some(pepper) => KeyHash::peppered(pepper.digest(key.expose().as_bytes())),
            None => key.digest().into(),
        };
        Ok(IssuedKey { key, hash })
    }

    /// Shows the key and its record.
    ///
    /// # Errors
    /// When standard output cannot be written, also when it was closed: the key is lost then.
    pub(crate) fn show(
        &self,
        issued: &IssuedKey,
        record: &KeyRecord,
        location: &StoreLocation,
        now: Timestamp,
    ) -> Result<(), CliError> {
        let shown = match self.json {
            true => output::print_json(&Json {
                key: issued.key.expose(),
                record: KeyView::new(record, now),
                entry: to_yaml(record),
            }),
            false => text(issued.key.expose(), record, location),
        };
        shown.map_err(|error| {
            let id = &record.id;
            CliError::failed(format_args!(
                "the key {id} was stored in {location}, but cannot be shown: {error}"
            ))
            .with_help(format_args!(
                "issue a new secret with `stockade keys rotate {id}`; this one is lost"
            ))
        })?;
        output::note("\nThis key will not be shown again. Store it in a secret manager.");
        Ok(())
    }
}

#[derive(Serialize)]
struct Json<'a> {
    key: &'a str,
    record: KeyView<'a>,
    entry: String,
}

fn text(key: &str, record: &KeyRecord, location: &StoreLocation) -> std::io::Result<()> {
    output::print(format_args!("Key:\n\n  {BOLD}{key}{BOLD:#}\n"))?;
    output::print(format_args!("Entry in {location} (as YAML):\n"))?;
    to_yaml(record)
        .lines()
        .try_for_each(|line| output::print(escape(line)))
}
