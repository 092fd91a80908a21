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

/// The key to rotate.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
A rotation replaces the key's secret. The id and scopes stay the same, and so does the expiry
unless --expires is given. Only one old secret can be valid, so a second rotation within the
grace period fails, unless --again allows it to invalidate the oldest secret immediately.

Examples:
  stockade keys rotate team-core                  The old secret stays valid for 24 hours
  stockade keys rotate team-core --grace 0        The old secret is invalid immediately
  stockade keys rotate team-core --expires 90d    Also set a new expiry")]
pub(crate) struct RotateArgs {
    /// The key's id
    id: KeyId,
    /// How long the old secret stays valid, at most until the key expires
    #[arg(long, default_value = "24h", value_name = "DURATION")]
    grace: HumanDuration,
    /// Rotate the key even within the grace period of the last rotation
    #[arg(long)]
    again: bool,
    /// When the key expires, with both secrets: after a duration (`90d`), on a day
    /// (`2026-01-31`, at midnight UTC) or at a time (RFC 3339) [default: unchanged]
    #[arg(long, value_name = "WHEN")]
    expires: Option<Expiry>,
    #[command(flatten)]
    secret: SecretArgs,
}

fn resolve(expires: Expiry, now: Timestamp) -> Result<Timestamp, CliError> {
    match expires.resolve(now) {
        Ok(Some(expires)) => Ok(expires),
        Ok(None) => Err(
            CliError::usage("--expires: a rotation cannot remove the expiry of a key")
                .with_help("give a duration or time, for example --expires 90d"),
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
        if old.hash.as_certificate().is_some() {
            let id = &self.id;
            return Err(CliError::failed(format_args!(
                "the key {id} has a client certificate, and no secret to replace"
            ))
            .with_help("renew the certificate at its authority; the key accepts the new one"));
        }
        if let (KeyState::Rotating(until), false) = (KeyState::new(&old, now), self.again) {
            let (id, until) = (&self.id, Rfc3339(until));
            return Err(CliError::failed(format_args!(
                "the key {id} was already rotated; its old secret is valid until {until}"
            ))
            .with_help(
                "wait until then, or add --again to invalidate the old secret immediately",
            ));
        }
        if old.hash.algorithm() == "hmac-sha256" && !self.secret.is_peppered() {
            return Err(CliError::failed(format_args!(
                "the key {} is hashed with a pepper, and --pepper-file is missing",
                self.id
            ))
            .with_help("name the pepper with --pepper-file"));
        }
        let issued = self.secret.issue(self.id.clone())?;
        // Before the rotation: an error after it would lose the new secret.
        if let Some(expires) = expires {
            let change = KeyChange::SetExpiry { expires, at: now };
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
                "The old secret is valid until {}.",
                Rfc3339(previous.until)
            )),
            None => output::note("The old secret is invalid."),
        }
        if record.expires.is_none() {
            output::warn("the key never expires, even after a rotation");
            output::help("add --expires, for example --expires 90d");
        }
        Ok(Outcome::Success)
    }
}
