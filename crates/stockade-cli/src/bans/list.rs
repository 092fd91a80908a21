//! `stockade bans list` and `stockade bans why`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use stockade_abuse::{Ban, Offender};
use stockade_core::clock::Timestamp;
use tabled::builder::Builder;

use super::{open, sorted, warn_about_skipped_lines};
use crate::{CliError, Outcome, escape::escape, output, time::Rfc3339};

/// The format of the list.
#[derive(Args, Clone, Debug)]
pub(crate) struct ListArgs {
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// The client to look up.
#[derive(Args, Clone, Debug)]
pub(crate) struct WhyArgs {
    /// An address, a network, or `key:` and an id
    client: Offender,
}

/// A ban in JSON.
#[derive(Debug, Serialize)]
struct BanView {
    client: String,
    reason: String,
    since: Option<String>,
    until: Option<String>,
}

impl ListArgs {
    pub(crate) fn run(self, file: &PathBuf) -> Result<Outcome, CliError> {
        warn_about_skipped_lines(file)?;
        let bans = sorted(&open(file)?);
        if self.json {
            let views: Vec<_> = bans
                .into_iter()
                .map(|(client, ban)| view(client, &ban))
                .collect();
            output::print_json(&views)?;
        } else if bans.is_empty() {
            output::note(format_args!("{} has no bans.", file.display()));
        } else {
            output::print_table(table(&bans))?;
        }
        Ok(Outcome::Success)
    }
}

impl WhyArgs {
    pub(crate) fn run(self, file: &PathBuf) -> Result<Outcome, CliError> {
        warn_about_skipped_lines(file)?;
        let Some(ban) = open(file)?.find_ban(&self.client) else {
            output::note(format_args!("{} is not banned.", self.client));
            return Ok(Outcome::Negative);
        };
        output::print_table(table(&[(ban.offender.to_string(), ban)]))?;
        Ok(Outcome::Success)
    }
}

fn view(client: String, ban: &Ban) -> BanView {
    BanView {
        client,
        reason: ban.reason.to_string(),
        since: since(ban),
        until: ban.until.map(|until| Rfc3339(until).to_string()),
    }
}

/// The start of the ban. Lines written by hand have none.
fn since(ban: &Ban) -> Option<String> {
    (ban.since > Timestamp::default()).then(|| Rfc3339(ban.since).to_string())
}

fn table(bans: &[(String, Ban)]) -> Builder {
    let mut table = Builder::with_capacity(bans.len() + 1, 4);
    table.push_record(["CLIENT", "SINCE", "UNTIL", "REASON"]);
    for (client, ban) in bans {
        let until = ban.until.map(|until| Rfc3339(until).to_string());
        table.push_record([
            escape(client),
            since(ban).unwrap_or_else(|| "-".to_owned()),
            until.unwrap_or_else(|| "permanent".to_owned()),
            escape(&ban.reason),
        ]);
    }
    table
}
