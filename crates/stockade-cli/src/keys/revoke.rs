//! `stockade keys revoke`.

use clap::Args;
use stockade_key_auth::{KeyChange, KeyId};

use super::{
    location::{IfMissing, StoreLocation},
    now,
};
use crate::{CliError, Outcome, escape::escape, output, prompt, time::Rfc3339};

/// Which key.
#[derive(Args, Clone, Debug)]
pub(crate) struct RevokeArgs {
    /// The key's id
    id: KeyId,
    /// Ask nothing
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
                "The key {id} was revoked at {} already.",
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
        output::note(format_args!("The key {id} is revoked, and stays so."));
        Ok(Outcome::Success)
    }

    fn confirmed(&self, owner: Option<&str>) -> Result<bool, CliError> {
        if !output::is_interactive() {
            return Err(
                CliError::usage("there is no terminal to ask on whether that is meant")
                    .help("add --yes"),
            );
        }
        let owner = owner.map(|owner| format!(" of {}", escape(owner)));
        prompt::confirm(&format!(
            "Refuse the key {}{} for good?",
            self.id,
            owner.unwrap_or_default()
        ))
    }
}
