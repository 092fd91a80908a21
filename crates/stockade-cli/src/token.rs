//! `stockade token`.

mod decoded;
mod inspect;
mod issue;
mod key;
mod revoke;

use clap::Subcommand;

use crate::{CliError, Outcome};

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Issue a short-lived access token
    Issue(issue::IssueArgs),
    /// Decode a token, and verify it if a key is given
    Inspect(inspect::InspectArgs),
    /// Revoke a token before it expires
    Revoke(revoke::RevokeArgs),
}

impl TokenCommand {
    pub(crate) async fn run(self) -> Result<Outcome, CliError> {
        match self {
            Self::Issue(issue) => issue.run(),
            Self::Inspect(inspect) => inspect.run().await,
            Self::Revoke(revoke) => revoke.run().await,
        }
    }
}
