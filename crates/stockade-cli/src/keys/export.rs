//! `stockade keys export`.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    key_file::{Format, replace},
    location::{IfMissing, StoreLocation},
    plural_keys,
};
use crate::{CliError, Outcome, output};

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
    format: Option<Format>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

impl ExportArgs {
    pub(crate) async fn run(self, location: &StoreLocation) -> Result<Outcome, CliError> {
        let records = location.open(IfMissing::Fail).await?.list().await?;
        let language = self.format.unwrap_or_else(|| Format::of(&self.to));
        let text = language.write(&records);
        let (count, to) = (plural_keys(records.len()), self.to.display());
        if self.to == Path::new("-") {
            std::io::stdout().write_all(text.as_bytes())?;
        } else if location.is_file(&self.to) {
            return Err(
                CliError::usage(format_args!("{to} is the store itself")).help("name another file")
            );
        } else if self.to.exists() && !self.force {
            return Err(CliError::failed(format_args!("{to} is there already"))
                .help("name another file, or add --force to replace it"));
        } else {
            replace(&self.to, &text)?;
            output::note(format_args!("Wrote {count} to {to}."));
        }
        output::warn(
            "it has the hashes of all keys; whoever reads it can guess at weak ones, so keep \
             it as you keep the store",
        );
        Ok(Outcome::Success)
    }
}
