//! `stockade keys rotate`.

use clap::Args;
use stockade_core::clock::Timestamp;
use stockade_key_auth::{KeyChange, KeyId};

use super::{
    issued::SecretArgs,
    location::{IfMissing, StoreLocation},
    now,
    state::KeyState,
};
use crate::{
    CliError, Outcome, output,
    time::{Expiry, HumanDuration, Rfc3339},
};

/// Which key, and how long its old text is taken.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The id, the scopes and the expiry stay as they are, the expiry unless --expires sets another
one; only the text is new. Each run makes another text, and only the last text but one can
have a grace. So a second run within the grace is refused, unless --again says that the oldest
text may end at once.

Examples:
  stockade keys rotate team-core              The old text is taken for 24 hours more
  stockade keys rotate team-core --grace 0    The old text is refused from now on
  stockade keys rotate team-core --expires 90d    The key expires, which it may not have done")]
pub(crate) struct RotateArgs {
    /// The key's id
    id: KeyId,
    /// How long the old text is still taken; never beyond the key's expiry
    #[arg(long, default_value = "24h", value_name = "LENGTH")]
    grace: HumanDuration,
    /// Rotate a key whose last rotation is still in its grace
    #[arg(long)]
    again: bool,
    /// From when on the key is refused, in both texts: a length (`90d`), a day (`2026-01-31`,
    /// which is its first moment in UTC) or a time (RFC 3339) [default: as before]
    #[arg(long, value_name = "WHEN")]
    expires: Option<Expiry>,
    #[command(flatten)]
    secret: SecretArgs,
}

fn resolve(expires: Expiry, now: Timestamp) -> Result<Timestamp, CliError> {
    match expires.resolve(now) {
        Ok(Some(expires)) => Ok(expires),
        Ok(None) => Err(
            CliError::usage("--expires: a rotation sets an expiry, and removes none")
                .help("name a time, or make another key with `stockade keys new`"),
        ),
        Err(problem) => Err(CliError::usage(format_args!("--expires: {problem}"))),
    }
}

impl RotateArgs {
    pub(crate) async fn run(self, location: &StoreLocation) -> Result<Outcome, CliError> {
        let now = now();
        let expires = self.expires.map(|expires| resolve(expires, now));
        let expires = expires.transpose()?;
        let store = location.open(IfMissing::Fail).await?;
        let old = store.find(&self.id).await?;
        if let (KeyState::Rotating(until), false) = (KeyState::of(&old, now), self.again) {
            let (id, until) = (&self.id, Rfc3339(until));
            return Err(CliError::failed(format_args!(
                "the key {id} was rotated already, and the text before is taken until {until}"
            ))
            .help("wait for that, or add --again to refuse that text at once"));
        }
        if old.hash.algorithm() == "hmac-sha256" && !self.secret.is_peppered() {
            return Err(CliError::failed(format_args!(
                "the key {} is kept with a pepper, and would lose it",
                self.id
            ))
            .help("name the pepper by --pepper-file"));
        }
        let issued = self.secret.issue(self.id.clone())?;
        // Before the rotation: a new text that is lost to an error could not be shown again.
        if let Some(expires) = expires {
            let change = KeyChange::Expire { expires, at: now };
            store.keys().change(self.id.clone(), change).await?;
        }
        let change = KeyChange::Rotate {
            hash: issued.hash.clone(),
            grace: self.grace.0,
            at: now,
        };
        let record = store.keys().change(self.id, change).await?;
        self.secret.show(&issued, &record, location, now)?;
        match &record.previous {
            Some(previous) => output::note(format_args!(
                "The old text is taken until {}.",
                Rfc3339(previous.until)
            )),
            None => output::note("The old text is refused from now on."),
        }
        if record.expires.is_none() {
            output::warn(
                "the key never expires, also after a rotation; set an expiry with --expires 90d",
            );
        }
        Ok(Outcome::Success)
    }
}
