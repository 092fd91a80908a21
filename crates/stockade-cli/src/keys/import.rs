//! `stockade keys import`.

mod plan;

use std::{fs, path::PathBuf};

use clap::Args;
use serde::Serialize;
use stockade_core::identity::Scope;
use stockade_key_auth::{FileKeyStore, KeyRecord, KeyStore};

use super::location::{IfMissing, Store, StoreLocation};
use crate::{
    CliError, Outcome,
    escape::escape,
    output::{self, plural},
};
use plan::{ImportResult, Plan, PlannedKey};

/// The file to import.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
A key that exists with the same id and hash is skipped and stays unchanged: an import never
makes a revoked key valid again, and can be repeated. A key that exists with another hash or
under another id is a conflict. With a conflict no key is added, unless --skip-conflicts is
given.

--map-scope renames scopes of another program, for example `chat:read` to `chat:write`, which
the routes of chats require.

Examples:
  stockade keys import keys.yaml --store sqlite:keys.db --dry-run
  stockade keys import keys.yaml --store sqlite:keys.db
  stockade keys import cortex.yaml --map-scope chat:read=chat:write")]
pub(crate) struct ImportArgs {
    /// The file: YAML, TOML (`.toml`) or JSON (`.json`)
    #[arg(value_name = "FILE")]
    from: PathBuf,
    /// Report what would be added, without changing the store
    #[arg(long)]
    dry_run: bool,
    /// Add the other keys if some are conflicts
    #[arg(long)]
    skip_conflicts: bool,
    /// Replace the scope OLD by NEW; repeat it, or separate pairs by commas
    #[arg(long, value_name = "OLD=NEW", value_delimiter = ',', value_parser = scope_pair)]
    map_scope: Vec<(Scope, Scope)>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl ImportArgs {
    pub(crate) async fn run(self, location: &StoreLocation) -> Result<Outcome, CliError> {
        if location.is_file(&self.from) {
            return Err(
                CliError::usage(format_args!("{location} is the store itself"))
                    .with_help("name another file, or another store with --store"),
            );
        }
        let mut records = FileKeyStore::open_static(&self.from)?.list().await?;
        for record in &mut records {
            record.scopes = record
                .scopes
                .iter()
                .map(|scope| self.mapped(scope))
                .collect();
        }
        // Only for line numbers: the store has read the file already.
        let text = fs::read_to_string(&self.from).unwrap_or_default();
        let existing = location.records().await?;
        let plan = Plan::new(records, &existing, &text);
        let aborted = plan.conflicts() > 0 && !self.skip_conflicts;
        if !aborted && !self.dry_run {
            add(location, plan.new_records()).await?;
        }
        self.report(&plan, location, aborted)?;
        match plan.conflicts() {
            0 => Ok(Outcome::Success),
            _ => Ok(Outcome::Negative),
        }
    }

    fn mapped(&self, scope: &Scope) -> Scope {
        let pair = self.map_scope.iter().find(|(old, _)| old == scope);
        pair.map_or(scope, |(_, new)| new).clone()
    }

    fn report(&self, plan: &Plan, location: &StoreLocation, aborted: bool) -> Result<(), CliError> {
        let changed = !aborted && !self.dry_run;
        if self.json {
            output::print_json(&Json {
                changed,
                keys: plan.keys(),
            })?;
        } else {
            for key in plan.keys() {
                output::print(self.line(key, changed))?;
            }
        }
        let added = plural(plan.new_records().count() as u64, "key");
        match (aborted, self.dry_run) {
            (true, _) => {
                let conflicts = plural(plan.conflicts() as u64, "conflict");
                output::error(format_args!("nothing was added because of {conflicts}"));
                output::help("fix the file, or add --skip-conflicts to add the other keys");
            }
            (_, true) => output::note(format_args!(
                "Nothing was changed. Without --dry-run, {added} would be added to {location}."
            )),
            _ => output::note(format_args!("Added {added} to {location}.")),
        }
        Ok(())
    }

    fn line(&self, key: &PlannedKey, changed: bool) -> String {
        let style = key.style();
        let result = match key.result {
            ImportResult::Added if !changed => "would be added",
            result => result.name(),
        };
        let line = key.line.map(|line| format!(":{line}")).unwrap_or_default();
        format!(
            "{}{line}: {} {style}{result}{style:#}{}",
            escape(&self.from.display().to_string()),
            key.id,
            key.reason
                .as_deref()
                .map(|reason| format!(": {reason}"))
                .unwrap_or_default(),
        )
    }
}

fn scope_pair(text: &str) -> Result<(Scope, Scope), String> {
    let scope = |text: &str| text.parse().map_err(|error| format!("{error}"));
    let (old, new) = text.split_once('=').ok_or("expected OLD=NEW")?;
    Ok((scope(old)?, scope(new)?))
}

#[derive(Serialize)]
struct Json<'p> {
    /// Whether keys with the result `added` were added.
    changed: bool,
    keys: &'p [PlannedKey],
}

/// Adds the planned keys.
///
/// A file is written once with all keys. A database gets one insert per key: after a failure
/// the import can be repeated, and skips the keys that were added.
async fn add<'p>(
    location: &StoreLocation,
    added: impl Iterator<Item = &'p KeyRecord>,
) -> Result<(), CliError> {
    if let StoreLocation::File(path) = location {
        let store = FileKeyStore::create_or_open_static(path)?;
        return Ok(store.create_all(added.cloned().collect()).await?);
    }
    let store: Store = location.open(IfMissing::Create).await?;
    for (done, record) in added.enumerate() {
        let created = store.keys().create(record.clone()).await;
        created.map_err(|error| {
            CliError::failed(format_args!(
                "cannot add the key {}, after {} were added: {error}",
                record.id,
                plural(done as u64, "key")
            ))
            .with_help("fix the cause, and repeat the import to add the remaining keys")
        })?;
    }
    Ok(())
}
