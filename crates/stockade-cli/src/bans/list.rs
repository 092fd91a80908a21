//! `stockade bans list` and `stockade bans why`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use stockade_abuse::{Ban, Offender};
use stockade_core::Timestamp;
use tabled::builder::Builder;

use super::{open, sorted, warn_of_gaps};
use crate::{Failure, Outcome, moment::Shown, output, visible::visible};

/// How to list.
#[derive(Args, Clone, Debug)]
pub(crate) struct ListArgs {
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// Whom to look for.
#[derive(Args, Clone, Debug)]
pub(crate) struct WhyArgs {
    /// An address, a network, or `key:` and an id
    who: Offender,
}

/// A ban as JSON shows it.
#[derive(Debug, Serialize)]
struct View {
    who: String,
    reason: String,
    since: Option<String>,
    until: Option<String>,
}

impl ListArgs {
    pub(crate) fn run(self, file: &PathBuf) -> Result<Outcome, Failure> {
        warn_of_gaps(file)?;
        let bans = sorted(&open(file)?);
        if self.json {
            let views: Vec<_> = bans.into_iter().map(|(who, ban)| view(who, &ban)).collect();
            output::answer_json(&views)?;
        } else if bans.is_empty() {
            output::remark(format_args!("Nobody is banned in {}.", file.display()));
        } else {
            output::answer_table(table(&bans))?;
        }
        Ok(Outcome::Done)
    }
}

impl WhyArgs {
    pub(crate) fn run(self, file: &PathBuf) -> Result<Outcome, Failure> {
        warn_of_gaps(file)?;
        let Some(ban) = open(file)?.why(&self.who) else {
            output::remark(format_args!("{} is not banned.", self.who));
            return Ok(Outcome::Refused);
        };
        output::answer_table(table(&[(ban.offender.to_string(), ban)]))?;
        Ok(Outcome::Done)
    }
}

fn view(who: String, ban: &Ban) -> View {
    View {
        who,
        reason: ban.reason.to_string(),
        since: since(ban),
        until: ban.until.map(|until| Shown(until).to_string()),
    }
}

/// Lines that people write have no time in them.
fn since(ban: &Ban) -> Option<String> {
    (ban.since > Timestamp::default()).then(|| Shown(ban.since).to_string())
}

fn table(bans: &[(String, Ban)]) -> Builder {
    let mut table = Builder::with_capacity(bans.len() + 1, 4);
    table.push_record(["WHO", "SINCE", "UNTIL", "WHY"]);
    for (who, ban) in bans {
        let until = ban.until.map(|until| Shown(until).to_string());
        table.push_record([
            visible(who),
            since(ban).unwrap_or_else(|| "-".to_owned()),
            until.unwrap_or_else(|| "for good".to_owned()),
            visible(&ban.reason),
        ]);
    }
    table
}
