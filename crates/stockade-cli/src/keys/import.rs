//! `stockade keys import`.

mod plan;

use std::{fs, path::PathBuf};

use clap::Args;
use serde::Serialize;
use stockade_core::identity::Scope;
use stockade_key_auth::{FileKeyStore, KeyRecord, KeyStore};

use super::{
    location::{IfMissing, Store, StoreLocation},
    plural_keys,
};
use crate::{CliError, Outcome, escape::escape, output};
use plan::{ImportResult, Plan, PlannedKey};

/// Which file, and how strictly.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
A key that the store has under the same id and hash is skipped, and stays as it is there: an
import never makes a revoked key valid again. One that the store has with another hash, or
under another id, is refused; then nothing at all is added, unless --skip-conflicts is given.
So an import can be repeated safely.

A key without the scope that a route asks for is refused there. Where the keys come from a
program with other scopes, --map-scope renames them: its `chat:read`, say, to `chat:write`, which
a chat needs.

Examples:
  stockade keys import keys.yaml --store sqlite:keys.db --dry-run
  stockade keys import keys.yaml --store sqlite:keys.db
  stockade keys import cortex.yaml --map-scope chat:read=chat:write")]
pub(crate) struct ImportArgs {
    /// The file: YAML, TOML (`.toml`) or JSON (`.json`)
    #[arg(value_name = "FILE")]
    from: PathBuf,
    /// Change nothing; say what would be
    #[arg(long)]
    dry_run: bool,
    /// Add the others where some are refused
    #[arg(long)]
    skip_conflicts: bool,
    /// Give keys the scope NEW in place of OLD; repeat it, or divide pairs by commas
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
                    .help("name another file, or another store by --store"),
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
        // The store has read it already, so what is missing now was taken away meanwhile.
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
        let (added, refused) = (
            plural_keys(plan.new_records().count()),
            plural_keys(plan.conflicts()),
        );
        match (aborted, self.dry_run) {
            (true, _) => output::error(format_args!(
                "nothing was added, since {refused} would be refused; mend the file, or add \
                 --skip-conflicts"
            )),
            (_, true) => output::note(format_args!(
                "Nothing was changed; without --dry-run, {added} would be added to {location}."
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
    let (old, new) = text.split_once('=').ok_or("write it as OLD=NEW")?;
    Ok((scope(old)?, scope(new)?))
}

#[derive(Serialize)]
struct Json<'p> {
    /// Whether what is `added` was added.
    changed: bool,
    keys: &'p [PlannedKey],
}

/// Adds the keys, all of which the plan has found to fit.
///
/// A file is changed once, and then has them all. A database takes them one by one:
/// where it fails half way, the import can be repeated, and skips what is there.
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
                "after {}, at {}: {error}",
                plural_keys(done),
                record.id
            ))
            .help("what was added before stays; mend that, and import again for the rest")
        })?;
    }
    Ok(())
}
