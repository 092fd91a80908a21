//! `stockade keys revoke`.

use clap::Args;
use stockade_key_auth::{KeyChange, KeyId};

use super::{
    now,
    store::{Missing, Place},
};
use crate::{Failure, Outcome, ask, moment::Shown, output, visible::visible};

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
    pub(crate) async fn run(self, place: &Place) -> Result<Outcome, Failure> {
        let store = place.open(Missing::Refuse).await?;
        let record = store.find(&self.id).await?;
        let id = &self.id;
        if let Some(at) = record.revoked {
            output::remark(format_args!(
                "The key {id} was revoked at {} already.",
                Shown(at)
            ));
            return Ok(Outcome::Done);
        }
        if !self.yes && !self.asked(record.owner.as_deref())? {
            output::remark("Nothing was changed.");
            return Ok(Outcome::Refused);
        }
        let change = KeyChange::Revoke { at: now() };
        store.keys().change(id.clone(), change).await?;
        output::remark(format_args!("The key {id} is revoked, and stays so."));
        Ok(Outcome::Done)
    }

    fn asked(&self, owner: Option<&str>) -> Result<bool, Failure> {
        if !output::is_attended() {
            return Err(
                Failure::usage("there is no terminal to ask on whether that is meant")
                    .mend("add --yes"),
            );
        }
        let owner = owner.map(|owner| format!(" of {}", visible(owner)));
        ask::confirm(&format!(
            "Refuse the key {}{} for good?",
            self.id,
            owner.unwrap_or_default()
        ))
    }
}
