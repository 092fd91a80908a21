//! `stockade keys`.

mod export;
mod import;
mod issued;
pub(crate) mod key_file;
mod key_view;
mod list;
pub(crate) mod location;
mod new;
mod revoke;
mod rotate;
mod show;
mod state;
mod verify;

use clap::{Args, Subcommand};
use stockade_core::clock::{Clock, SystemClock, Timestamp};

use crate::{CliError, Outcome};
use location::StoreLocation;

/// Options of all `keys` commands.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  stockade keys new --id team-core --owner ops@example.com --scope chat:write --expires 90d
  stockade keys list --store sqlite:keys.db
  STOCKADE_KEYS=postgres://stockade@db/stockade stockade keys list --json
  stockade keys import old-keys.yaml --store keys.toml --dry-run")]
pub(crate) struct KeysArgs {
    /// The key store: a file (`keys.yaml`, `.toml` or `.json`), `sqlite:keys.db` or
    /// `postgres://user@host/database` [env: STOCKADE_KEYS] [default: keys.yaml]
    ///
    /// Pass a password in STOCKADE_KEYS, PGPASSWORD or ~/.pgpass: every process on the machine
    /// can read the command line.
    #[arg(long, global = true, value_name = "STORE")]
    store: Option<String>,
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum KeysCommand {
    /// Create a key, and show it once
    New(Box<new::NewArgs>),
    /// List all keys
    List(list::ListArgs),
    /// Show one key
    Show(show::ShowArgs),
    /// Replace a key's secret; the old one stays valid during a grace period
    Rotate(rotate::RotateArgs),
    /// Revoke a key permanently
    Revoke(revoke::RevokeArgs),
    /// Add the keys of a file to the store
    Import(import::ImportArgs),
    /// Write all keys, including their hashes, to a file
    Export(export::ExportArgs),
    /// Identify a key and report whether it is valid
    Verify(verify::VerifyArgs),
}

impl KeysArgs {
    pub(crate) async fn run(self) -> Result<Outcome, CliError> {
        let location = StoreLocation::resolve(self.store)?;
        match self.command {
            KeysCommand::New(new) => new.run(&location).await,
            KeysCommand::List(list) => list.run(&location).await,
            KeysCommand::Show(show) => show.run(&location).await,
            KeysCommand::Rotate(rotate) => rotate.run(&location).await,
            KeysCommand::Revoke(revoke) => revoke.run(&location).await,
            KeysCommand::Import(import) => import.run(&location).await,
            KeysCommand::Export(export) => export.run(&location).await,
            KeysCommand::Verify(verify) => verify.run(&location).await,
        }
    }
}

/// The current time in seconds, which keeps key files readable.
fn now() -> Timestamp {
    Timestamp::from_secs(SystemClock::new().now().as_secs())
}
