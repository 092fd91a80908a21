//! `stockade bans add` and `stockade bans remove`.

use std::path::PathBuf;

use clap::Args;
use stockade_abuse::Offender;

use super::open;
use crate::{CliError, Outcome, escape::printable, output, time::HumanDuration};

/// Whom to ban.
#[derive(Args, Clone, Debug)]
pub(crate) struct AddArgs {
    /// An address, a network, or `key:` and an id
    client: Offender,
    /// How long: `24h`, `7d`; for good without it
    #[arg(long = "for", value_name = "LENGTH")]
    length: Option<HumanDuration>,
    /// Why, for those client read the list
    #[arg(long, default_value = "by hand", value_parser = printable)]
    reason: String,
}

/// Whose ban to end.
#[derive(Args, Clone, Debug)]
pub(crate) struct RemoveArgs {
    /// An address, a network, or `key:` and an id, as `stockade bans list` shows it
    client: Offender,
}

impl AddArgs {
    pub(crate) fn run(self, file: &PathBuf) -> Result<Outcome, CliError> {
        let detector = open(file)?;
        let length = self.length.map(|HumanDuration(length)| length);
        detector.ban(self.client.clone(), length, self.reason);
        drop(detector);
        // Written when the list was dropped; whether it was is in the file.
        match open(file)?.why(&self.client) {
            Some(_) => {
                output::note(format_args!("{} is banned.", self.client));
                Ok(Outcome::Success)
            }
            None => Err(CliError::failed(format_args!(
                "the ban could not be written to {}",
                file.display()
            ))),
        }
    }
}

impl RemoveArgs {
    pub(crate) fn run(self, file: &PathBuf) -> Result<Outcome, CliError> {
        let detector = open(file)?;
        if detector.unban(&self.client) {
            output::note(format_args!("{} is banned no more.", self.client));
            return Ok(Outcome::Success);
        }
        let why = match detector.why(&self.client) {
            Some(ban) => format!(
                "{} lies within {}, which is banned as a whole; remove that",
                self.client, ban.offender
            ),
            None => format!("{} is not banned.", self.client),
        };
        output::note(why);
        Ok(Outcome::Negative)
    }
}
