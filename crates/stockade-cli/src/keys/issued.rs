//! Issues a key: its hash goes to the store, and the key is shown once. A key with a client
//! certificate has no secret to show.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use stockade_core::clock::Timestamp;
use stockade_key_auth::{GeneratedKey, KeyHash, KeyId, KeyRecord, SpiffeId, to_yaml};

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
    /// `None` if a certificate takes its place.
    key: Option<GeneratedKey>,
    pub(crate) hash: KeyHash,
}

impl IssuedKey {
    /// A key whose clients present a certificate with this id.
    pub(crate) fn certificate(id: SpiffeId) -> Self {
        Self {
            key: None,
            hash: KeyHash::certificate(id),
        }
    }
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
        Ok(IssuedKey {
            key: Some(key),
            hash,
        })
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
        let key = issued.key.as_ref().map(GeneratedKey::expose);
        let shown = match self.json {
            true => output::print_json(&Json {
                key,
                record: KeyView::new(record, now),
                entry: to_yaml(record),
            }),
            false => text(key, record, location),
        };
        if key.is_none() {
            shown?;
            output::note("\nThe key has no secret: its clients present their certificate.");
            return Ok(());
        }
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
    /// `null` for a key with a certificate.
    key: Option<&'a str>,
    record: KeyView<'a>,
    entry: String,
}

fn text(key: Option<&str>, record: &KeyRecord, location: &StoreLocation) -> std::io::Result<()> {
    if let Some(key) = key {
        output::print(format_args!("Key:\n\n  {BOLD}{key}{BOLD:#}\n"))?;
    }
    output::print(format_args!("Entry in {location} (as YAML):\n"))?;
    to_yaml(record)
        .lines()
        .try_for_each(|line| output::print(escape(line)))
}
