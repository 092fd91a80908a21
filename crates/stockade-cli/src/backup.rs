//! `stockade backup`.

mod archive;
mod collection;
pub(crate) mod digest;
mod encryption;
mod item;
pub(crate) mod manifest;
mod output_file;
pub(crate) mod passphrase;
mod role;

use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::BinaryBytes;
use stockade::Environment;
use stockade_server_config::ServerFile;
use tabled::builder::Builder;

use crate::{
    CliError, Outcome, check,
    escape::escape,
    output::{self, plural},
};
use collection::Collection;
use encryption::EncryptionArgs;
use manifest::Manifest;
use output_file::OutputFile;

/// The server, and the backup.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The backup has the configuration, every file that a setting of it names, SQLite databases as of one
moment, and audit logs with their rotated files and heads. A server may run meanwhile. It is a tar
archive, encrypted by age: `age --decrypt -i key.txt backup.age | tar -x` unpacks it, too. PostgreSQL
and Redis, environment variables and model files are not in it; the command lists what it left out.

Examples:
  stockade backup --output backup.age --recipient age1…
  stockade backup --config /etc/stockade/stockade.toml --output backup.age \\
      --passphrase-file passphrase.txt

Exit codes: 0 success, 1 failure, 2 usage error.")]
pub(crate) struct BackupArgs {
    /// The configuration of the server, TOML or YAML
    #[arg(long, value_name = "FILE", default_value = "stockade.toml")]
    config: PathBuf,
    /// The backup, created with mode 0600
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    encryption: EncryptionArgs,
    /// Leave out files with private keys and passwords: a server that is restored from the backup
    /// needs new ones
    #[arg(long)]
    without_secrets: bool,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

impl BackupArgs {
    pub(crate) async fn run(self) -> Result<Outcome, CliError> {
        let server = load(&self.config)?;
        let encryption = self.encryption.read()?;
        let mut file = OutputFile::create(&self.output, self.force)?;
        let collection = Collection::read(&self.config, &server, self.without_secrets).await?;
        let stream = encryption.wrap(file.writer());
        let stream = stream.map_err(|error| archive::write_failed(&error))?;
        let manifest = archive::write(&collection, stream)?;
        let size = file.finish()?;
        report(&manifest)?;
        output::note(format_args!(
            "Wrote {} to {}, {}.",
            plural(manifest.files.len() as u64, "file"),
            self.output.display(),
            BinaryBytes(size)
        ));
        Ok(Outcome::Success)
    }
}

/// Loads a configuration in the same way as `stockade check`.
fn load(path: &Path) -> Result<ServerFile, CliError> {
    let loaded = check::is_server(path).and_then(|is_server| {
        let environment = match is_server {
            true => Environment::from_process().legacy_names(),
            false => Environment::from_process(),
        };
        ServerFile::read(path, &environment).map_err(check::refused)
    });
    loaded.map_err(|error| match error.help() {
        Some(_) => error,
        None => error.with_help("name the configuration of the server with --config"),
    })
}

/// Prints what the backup has, and what it has not.
fn report(manifest: &Manifest) -> Result<(), CliError> {
    let mut rows = Builder::default();
    rows.push_record(["SIZE", "FILE", "SETTING"]);
    for file in &manifest.files {
        rows.push_record([
            BinaryBytes(file.size).to_string(),
            escape(&file.original()),
            escape(&file.settings.join(", ")),
        ]);
    }
    output::print_table(rows)?;
    for left_out in &manifest.left_out {
        output::note(format_args!("Left out {}.", escape(&left_out.to_string())));
    }
    Ok(())
}
