//! The command line, and what runs it.

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

/// Manages the keys, tokens and bans of an API, reads its records, and checks its configuration
#[derive(Clone, Debug, Parser)]
#[command(
    name = "stockade",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    after_help = "\
Examples:
  stockade keys new                          Make a key; asks what it needs to know
  stockade keys list                         Show all keys, without their secrets
  stockade keys rotate team-core             Replace a key; the old one works for a day more
  stockade keys verify < key.txt             Say whose key it is, and whether it is taken
  stockade token issue --help                Issue a short-lived access token
  stockade bans list                         Show who is banned
  stockade audit tail app.log -f             Show records as they are written
  stockade check stockade.toml               Say what is unsafe about a configuration

Exit codes: 0 done, 1 refused or failed, 2 asked the wrong way."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Make, list, rotate, revoke and check API keys
    Keys(KeysArgs),
    /// Issue access tokens, and look into them
    #[command(subcommand)]
    Token(TokenCommand),
    /// List, add and remove bans, and say why somebody is banned
    Bans(BansArgs),
    /// Prove that records are as they were written, show them, and count them
    Audit(AuditArgs),
    /// Say what is unsafe about a configuration, and how to mend it
    Check(CheckArgs),
    /// Write a completion script for a shell
    ///
    /// For bash: `stockade completions bash > ~/.local/share/bash-completion/completions/stockade`
    Completions(CompletionsArgs),
    /// Write the manual
    ///
    /// For `man stockade`: `stockade man > ~/.local/share/man/man1/stockade.1`
    Man(ManArgs),
}

/// What came of a command that ran to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was done, or the answer is yes: exit code 0.
    Success,
    /// The answer is no, and was given: exit code 1.
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

/// The description of the command line, for generators of completions and manuals.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Does what the command line says.
///
/// # Errors
/// When that cannot be done; the [`CliError`] says why, and how to mend it.
pub fn run(cli: Cli) -> Result<Outcome, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed(format_args!("no runtime can be started: {error}")))?;
    runtime.block_on(async {
        match cli.command {
            Command::Keys(keys) => keys.run().await,
            Command::Token(token) => token.run().await,
            Command::Bans(bans) => bans.run(),
            Command::Audit(audit) => audit.run(),
            Command::Check(check) => check.run().await,
            Command::Completions(completions) => completions.run(),
            Command::Man(man) => man.run(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_consistent() {
        command().debug_assert();
    }
}
