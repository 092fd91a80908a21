//! `stockade keys export`.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    key_file::{Format, replace},
    location::{IfMissing, StoreLocation},
};
use crate::{
    CliError, Outcome,
    output::{self, plural},
};

/// The destination and format of the export.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  stockade keys export backup.yaml
  stockade keys export --store sqlite:keys.db - --format json | gpg -e -r ops > keys.gpg")]
pub(crate) struct ExportArgs {
    /// The file, created with mode 0600; `-` for standard output
    #[arg(value_name = "FILE")]
    to: PathBuf,
    /// The format [default: by the file's extension, otherwise yaml]
    #[arg(long)]
    format: Option<Format>,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

impl ExportArgs {
    pub(crate) async fn run(self, location: &StoreLocation) -> Result<Outcome, CliError> {
        let records = location.open(IfMissing::Fail).await?.list().await?;
        let language = self.format.unwrap_or_else(|| Format::from_path(&self.to));
        let text = language.write(&records);
        let (count, to) = (plural(records.len() as u64, "key"), self.to.display());
        if self.to == Path::new("-") {
            std::io::stdout().write_all(text.as_bytes())?;
        } else if location.is_file(&self.to) {
            return Err(CliError::usage(format_args!("{to} is the store itself"))
                .with_help("name another file"));
        } else if self.to.exists() && !self.force {
            return Err(CliError::failed(format_args!("{to} already exists"))
                .with_help("name another file, or add --force to replace it"));
        } else {
            replace(&self.to, &text)?;
            output::note(format_args!("Wrote {count} to {to}."));
        }
        output::warn(
            "the export contains the hashes of all keys; protect it in the same way as the store",
        );
        Ok(Outcome::Success)
    }
}
