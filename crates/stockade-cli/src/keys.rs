//! `stockade keys`.

mod export;
mod import;
mod issued;
mod key_file;
mod key_view;
mod list;
mod location;
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

/// What all commands on keys share.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  stockade keys new --id team-core --owner ops@example.com --scope chat:write --expires 90d
  stockade keys list --store sqlite:keys.db
  STOCKADE_KEYS=postgres://stockade@db/stockade stockade keys list --json
  stockade keys import old-keys.yaml --store keys.toml --dry-run")]
pub(crate) struct KeysArgs {
    /// Where the keys are kept: a file (`keys.yaml`, `.toml` or `.json`), `sqlite:keys.db`
    /// or `postgres://user@host/database` [env: STOCKADE_KEYS] [default: keys.yaml]
    ///
    /// A password belongs into STOCKADE_KEYS, PGPASSWORD or ~/.pgpass: the command line is
    /// read by every process of the machine.
    #[arg(long, global = true, value_name = "STORE")]
    store: Option<String>,
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum KeysCommand {
    /// Make a key, and show it this once
    New(Box<new::NewArgs>),
    /// List all keys
    List(list::ListArgs),
    /// Show all that is kept of one key
    Show(show::ShowArgs),
    /// Replace a key's text; the old text is taken for a while longer
    Rotate(rotate::RotateArgs),
    /// Refuse a key for good
    Revoke(revoke::RevokeArgs),
    /// Add the keys of a file to the store
    Import(import::ImportArgs),
    /// Write all keys, with their hashes, into a file
    Export(export::ExportArgs),
    /// Say whose a key is, and whether it would be taken now
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

/// Now, to the second: nobody wants to read nanoseconds in a key file.
fn now() -> Timestamp {
    Timestamp::from_secs(SystemClock::new().now().as_secs())
}

/// `1 key`, `2 keys`.
fn plural_keys(count: usize) -> String {
    match count {
        1 => "1 key".to_owned(),
        _ => format!("{count} keys"),
    }
}
