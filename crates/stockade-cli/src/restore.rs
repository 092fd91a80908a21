//! `stockade restore`.

mod commands;
mod decryption;
mod reader;
mod unpack;
mod verification;

use std::path::PathBuf;

use anstyle::Style;
use clap::{ArgGroup, Args};
use indicatif::BinaryBytes;

use crate::{
    CliError, Outcome,
    backup::manifest::Manifest,
    escape::escape,
    output::{self, ERROR, SUCCESS, plural},
};
use decryption::DecryptionArgs;
use verification::Verification;

/// The backup, and what to do with it.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("action").required(true))]
#[command(after_help = "\
--verify decrypts the whole backup, compares every file with its digest, checks SQLite databases
(`PRAGMA integrity_check`) and the chain of audit logs. It writes nothing but a private temporary copy
of the databases (TMPDIR), which it removes.

--to unpacks the files below an empty folder, with their original paths and permissions, and prints
the commands that put them into place. It never writes to the original paths.

Examples:
  stockade restore --verify backup.age --identity key.txt
  stockade restore backup.age --passphrase-file passphrase.txt --to restored

Exit codes: 0 success, 1 damaged or failed, 2 usage error.")]
pub(crate) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    backup: PathBuf,
    /// Verify the backup, and write nothing
    #[arg(long, group = "action")]
    verify: bool,
    /// Unpack the files to this folder, which must be empty or missing
    #[arg(long, value_name = "FOLDER", group = "action")]
    to: Option<PathBuf>,
    #[command(flatten)]
    decryption: DecryptionArgs,
}

impl RestoreArgs {
    pub(crate) async fn run(self) -> Result<Outcome, CliError> {
        let stream = self.decryption.open(&self.backup)?;
        match &self.to {
            None => {
                let mut verification = Verification::new()?;
                let manifest = reader::read(stream, |manifest, entry, contents| {
                    verification.file(manifest, entry, contents)
                })?;
                let is_sound = verification.finish().await?;
                match is_sound {
                    true => summarise(SUCCESS, "verified", &manifest)?,
                    false => summarise(ERROR, "verified, WITH FAULTS", &manifest)?,
                }
                Ok(match is_sound {
                    true => Outcome::Success,
                    false => Outcome::Negative,
                })
            }
            Some(folder) => {
                let unpacked = unpack::Folder::create(folder)?;
                let manifest =
                    reader::read(stream, |_, entry, contents| unpacked.file(entry, contents))?;
                unpacked.finish()?;
                summarise(SUCCESS, "unpacked", &manifest)?;
                commands::print(&manifest, folder)?;
                Ok(Outcome::Success)
            }
        }
    }
}

fn summarise(style: Style, done: &str, manifest: &Manifest) -> Result<(), CliError> {
    let files = plural(manifest.files.len() as u64, "file");
    let bytes = BinaryBytes(manifest.files.iter().map(|file| file.size).sum());
    let (created, version) = (escape(&manifest.created), escape(&manifest.stockade));
    output::print(format_args!(
        "{style}{done}{style:#}: {files}, {bytes}, of {created}, by Stockade {version}"
    ))?;
    for left_out in &manifest.left_out {
        output::note(format_args!(
            "Not in the backup: {}.",
            escape(&left_out.to_string())
        ));
    }
    Ok(())
}
