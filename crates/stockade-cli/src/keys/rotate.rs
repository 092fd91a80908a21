//! `stockade keys rotate`.

use clap::Args;
use stockade_key_auth::{KeyChange, KeyId};

use super::{
    issued::TextArgs,
    now,
    state::State,
    store::{Missing, Place},
};
use crate::{
    Failure, Outcome,
    moment::{Length, Shown},
    output,
};

/// Which key, and how long its old text is taken.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The id, the scopes and the expiry stay as they are; only the text is new. Each run makes
another text, and only the last text but one can have a grace. So a second run within the
grace is refused, unless --again says that the oldest text may end at once.

Examples:
  stockade keys rotate team-core              The old text is taken for 24 hours more
  stockade keys rotate team-core --grace 0    The old text is refused from now on")]
pub(crate) struct RotateArgs {
    /// The key's id
    id: KeyId,
    /// How long the old text is still taken; never beyond the key's expiry
    #[arg(long, default_value = "24h", value_name = "LENGTH")]
    grace: Length,
    /// Rotate a key whose last rotation is still in its grace
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    text: TextArgs,
}

impl RotateArgs {
    pub(crate) async fn run(self, place: &Place) -> Result<Outcome, Failure> {
        let store = place.open(Missing::Refuse).await?;
        let now = now();
        let old = store.find(&self.id).await?;
        if let (State::Rotating(until), false) = (State::of(&old, now), self.again) {
            let (id, until) = (&self.id, Shown(until));
            return Err(Failure::refused(format_args!(
                "the key {id} was rotated already, and the text before is taken until {until}"
            ))
            .mend("wait for that, or add --again to refuse that text at once"));
        }
        if old.hash.algorithm() == "hmac-sha256" && !self.text.is_peppered() {
            return Err(Failure::refused(format_args!(
                "the key {} is kept with a pepper, and would lose it",
                self.id
            ))
            .mend("name the pepper by --pepper-file"));
        }
        let issued = self.text.issue(self.id.clone())?;
        let change = KeyChange::Rotate {
            hash: issued.hash.clone(),
            grace: self.grace.0,
            at: now,
        };
        let record = store.keys().change(self.id, change).await?;
        self.text.show(&issued, &record, place, now)?;
        match &record.previous {
            Some(previous) => output::remark(format_args!(
                "The old text is taken until {}.",
                Shown(previous.until)
            )),
            None => output::remark("The old text is refused from now on."),
        }
        Ok(Outcome::Done)
    }
}
