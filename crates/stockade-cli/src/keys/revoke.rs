//! `stockade keys revoke`.

use clap::Args;
use stockade_key_auth::{KeyChange, KeyId};

use super::{
    location::{IfMissing, StoreLocation},
    now,
};
use crate::{CliError, Outcome, escape::escape, output, prompt, time::Rfc3339};

/// The key to revoke.
#[derive(Args, Clone, Debug)]
pub(crate) struct RevokeArgs {
    /// The key's id
    id: KeyId,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
}

impl RevokeArgs {
    pub(crate) async fn run(self, location: &StoreLocation) -> Result<Outcome, CliError> {
        let store = location.open(IfMissing::Fail).await?;
        let record = store.find(&self.id).await?;
        let id = &self.id;
        if let Some(at) = record.revoked {
            output::note(format_args!(
                "The key {id} is already revoked, since {}.",
                Rfc3339(at)
            ));
            return Ok(Outcome::Success);
        }
        if !self.yes && !self.confirmed(record.owner.as_deref())? {
            output::note("Nothing was changed.");
            return Ok(Outcome::Negative);
        }
        let change = KeyChange::Revoke { at: now() };
        store.keys().change(id.clone(), change).await?;
        output::note(format_args!("The key {id} is permanently revoked."));
        Ok(Outcome::Success)
    }

    fn confirmed(&self, owner: Option<&str>) -> Result<bool, CliError> {
        if !output::is_interactive() {
            return Err(CliError::usage(
                "--yes is required, because the command does not run on a terminal",
            )
            .with_help("add --yes to revoke the key without confirmation"));
        }
        let owner = owner.map(|owner| format!(" of {}", escape(owner)));
        prompt::confirm(&format!(
            "Permanently revoke the key {}{}?",
            self.id,
            owner.unwrap_or_default()
        ))
    }
}
