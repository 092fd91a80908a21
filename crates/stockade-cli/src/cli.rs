//! The command line and its entry point.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::{
    CliError,
    audit::AuditArgs,
    bans::BansArgs,
    check::CheckArgs,
    generate::{CompletionsArgs, ManArgs},
    keys::KeysArgs,
    token::TokenCommand,
};
#[cfg(feature = "backup")]
use crate::{backup::BackupArgs, restore::RestoreArgs};

/// Manages the keys, tokens and bans of an API, reads its audit logs, checks its configuration, and
/// backs up its files
#[derive(Clone, Debug, Parser)]
#[command(
    name = "stockade",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    after_help = "\
Examples:
  stockade keys new                 Create a key; prompts for its id, scopes and expiry
  stockade keys list                List all keys, without their secrets
  stockade keys rotate team-core    Replace a key's secret; the old one stays valid for 24 hours
  stockade keys verify < key.txt    Identify a key and report whether it is valid
  stockade token issue --help       Issue a short-lived access token
  stockade bans list                List banned clients
  stockade audit tail app.log -f    Show records as they are written
  stockade check stockade.toml      Report what is unsafe about a configuration
  stockade backup --help            Copy all files of a server to one encrypted file

Exit codes: 0 success, 1 failure, 2 usage error."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Create, list, rotate, revoke and verify API keys
    Keys(KeysArgs),
    /// Issue, inspect and revoke access tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// List, add, explain and remove bans
    Bans(BansArgs),
    /// Verify, show and summarise audit logs
    Audit(AuditArgs),
    /// Report what is unsafe about a configuration, and how to fix it
    Check(CheckArgs),
    /// Copy all files of a server to one encrypted file
    #[cfg(feature = "backup")]
    Backup(BackupArgs),
    /// Verify a backup, or unpack it to a folder
    #[cfg(feature = "backup")]
    Restore(RestoreArgs),
    /// Write a completion script for a shell
    ///
    /// For bash: `stockade completions bash > ~/.local/share/bash-completion/completions/stockade`
    Completions(CompletionsArgs),
    /// Write manual pages
    ///
    /// For `man stockade`: `stockade man > ~/.local/share/man/man1/stockade.1`
    Man(ManArgs),
}

/// The result of a command that completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The command succeeded, or its answer is yes: exit code 0.
    Success,
    /// The answer of the command is no: exit code 1.
    Negative,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::SUCCESS,
            Outcome::Negative => Self::from(1),
        }
    }
}

/// The definition of the command line, for generators of completions and manuals, and for
/// tests. Hidden, because its type would make each major version of clap one of this crate.
#[doc(hidden)]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command.
///
/// # Errors
/// When the command fails; the [`CliError`] has the reason and a remedy.
pub fn run(cli: Cli) -> Result<Outcome, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            CliError::failed(format_args!("cannot start the async runtime: {error}"))
        })?;
    runtime.block_on(async {
        match cli.command {
            Command::Keys(keys) => keys.run().await,
            Command::Token(token) => token.run().await,
            Command::Bans(bans) => bans.run(),
            Command::Audit(audit) => audit.run(),
            Command::Check(check) => check.run().await,
            #[cfg(feature = "backup")]
            Command::Backup(backup) => backup.run().await,
            #[cfg(feature = "backup")]
            Command::Restore(restore) => restore.run().await,
            Command::Completions(completions) => completions.run(),
            Command::Man(man) => man.run(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definition_is_consistent() {
        command().debug_assert();
    }
}
