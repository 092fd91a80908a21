//! `stockade bans add` and `stockade bans remove`.

use std::path::PathBuf;

use clap::Args;
use stockade_abuse::Offender;

use super::open;
use crate::{Failure, Outcome, moment::Length, output, visible::visible_text};

/// Whom to ban.
#[derive(Args, Clone, Debug)]
pub(crate) struct AddArgs {
    /// An address, a network, or `key:` and an id
    who: Offender,
    /// How long: `24h`, `7d`; for good without it
    #[arg(long = "for", value_name = "LENGTH")]
    length: Option<Length>,
    /// Why, for those who read the list
    #[arg(long, default_value = "by hand", value_parser = visible_text)]
    reason: String,
}

/// Whose ban to end.
#[derive(Args, Clone, Debug)]
pub(crate) struct RemoveArgs {
    /// An address, a network, or `key:` and an id, as `stockade bans list` shows it
    who: Offender,
}

impl AddArgs {
    pub(crate) fn run(self, file: &PathBuf) -> Result<Outcome, Failure> {
        let detector = open(file)?;
        let length = self.length.map(|Length(length)| length);
        detector.ban(self.who.clone(), length, self.reason);
        drop(detector);
        // Written when the list was dropped; whether it was is in the file.
        match open(file)?.why(&self.who) {
            Some(_) => {
                output::remark(format_args!("{} is banned.", self.who));
                Ok(Outcome::Done)
            }
            None => Err(Failure::refused(format_args!(
                "the ban could not be written to {}",
                file.display()
            ))),
        }
    }
}

impl RemoveArgs {
    pub(crate) fn run(self, file: &PathBuf) -> Result<Outcome, Failure> {
        let detector = open(file)?;
        if detector.unban(&self.who) {
            output::remark(format_args!("{} is banned no more.", self.who));
            return Ok(Outcome::Done);
        }
        let why = match detector.why(&self.who) {
            Some(ban) => format!(
                "{} lies within {}, which is banned as a whole; remove that",
                self.who, ban.offender
            ),
            None => format!("{} is not banned.", self.who),
        };
        output::remark(why);
        Ok(Outcome::Refused)
    }
}
