//! `stockade keys export`.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    counted,
    records::{Language, replace},
    store::{Missing, Place},
};
use crate::{Failure, Outcome, output};

/// Where to, and in which language.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  stockade keys export backup.yaml
  stockade keys export --store sqlite:keys.db - --format json | gpg -e -r ops > keys.gpg")]
pub(crate) struct ExportArgs {
    /// The file, which is made with mode 0600; `-` for standard output
    #[arg(value_name = "FILE")]
    to: PathBuf,
    /// The language [default: by the file's ending, otherwise yaml]
    #[arg(long)]
    format: Option<Language>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

impl ExportArgs {
    pub(crate) async fn run(self, place: &Place) -> Result<Outcome, Failure> {
        let records = place.open(Missing::Refuse).await?.list().await?;
        let language = self.format.unwrap_or_else(|| Language::of(&self.to));
        let text = language.write(&records);
        let (count, to) = (counted(records.len()), self.to.display());
        if self.to == Path::new("-") {
            std::io::stdout().write_all(text.as_bytes())?;
        } else if place.is_file(&self.to) {
            return Err(
                Failure::usage(format_args!("{to} is the store itself")).mend("name another file")
            );
        } else if self.to.exists() && !self.force {
            return Err(Failure::refused(format_args!("{to} is there already"))
                .mend("name another file, or add --force to replace it"));
        } else {
            replace(&self.to, &text)?;
            output::remark(format_args!("Wrote {count} to {to}."));
        }
        output::warn(
            "it has the hashes of all keys; whoever reads it can guess at weak ones, so keep \
             it as you keep the store",
        );
        Ok(Outcome::Done)
    }
}
