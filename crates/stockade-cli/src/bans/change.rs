//! `stockade bans add` and `stockade bans remove`.

use std::path::PathBuf;

use clap::Args;
use stockade_abuse::Offender;

use super::open;
use crate::{CliError, Outcome, escape::printable, output, time::HumanDuration};

/// The ban to add.
#[derive(Args, Clone, Debug)]
pub(crate) struct AddArgs {
    /// An address, a network, or `key:` and an id
    client: Offender,
    /// The duration of the ban, such as `24h` or `7d` [default: permanent]
    #[arg(long = "for", value_name = "LENGTH")]
    length: Option<HumanDuration>,
    /// The reason, stored as a comment in the list
    #[arg(long, default_value = "by hand", value_parser = printable)]
    reason: String,
}

/// The ban to remove.
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
        // Dropping the detector wrote the file; reading it again shows whether that succeeded.
        match open(file)?.find_ban(&self.client) {
            Some(_) => {
                output::note(format_args!("{} is banned.", self.client));
                Ok(Outcome::Success)
            }
            None => Err(CliError::failed(format_args!(
                "cannot write the ban to {}",
                file.display()
            ))),
        }
    }
}

impl RemoveArgs {
    pub(crate) fn run(self, file: &PathBuf) -> Result<Outcome, CliError> {
        let detector = open(file)?;
        if detector.unban(&self.client) {
            output::note(format_args!("{} is no longer banned.", self.client));
            return Ok(Outcome::Success);
        }
        match detector.find_ban(&self.client) {
            Some(ban) => {
                let (client, ban) = (&self.client, ban.offender);
                output::error(format_args!("{client} is banned as part of {ban}"));
                output::help(format_args!(
                    "stockade bans remove {ban} --file {}",
                    file.display()
                ));
            }
            None => output::note(format_args!("{} is not banned.", self.client)),
        }
        Ok(Outcome::Negative)
    }
}
