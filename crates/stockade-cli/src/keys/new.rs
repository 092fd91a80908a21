//! `stockade keys new`.

mod answers;

use std::num::NonZeroU32;

use clap::Args;
use stockade_core::{
    client::IpPrefix,
    clock::Timestamp,
    identity::{QuotaOverrides, Scope},
};
use stockade_key_auth::{KeyId, KeyRecord, KeyStoreErrorKind};

use super::{
    issued::SecretArgs,
    location::{IfMissing, StoreLocation},
    now,
};
use crate::{CliError, Outcome, escape::printable, output, time::Expiry};
use answers::Answers;

/// Who the key is for, what it may do, and until when.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Without --id, on a terminal, it asks for the id and for those of owner, scopes and expiry
that no flag gives.

Examples:
  stockade keys new
  stockade keys new --id team-core --owner ops@example.com \\
      --scope chat:write,models:read --expires 90d
  stockade keys new --id ci --scope chat:write --expires 2026-01-31 \\
      --network 10.0.0.0/8 --requests-per-minute 60 --json")]
pub(crate) struct NewArgs {
    /// The key's public name: a letter or digit and up to 63 more, or `.`, `_`, `-`
    #[arg(long)]
    id: Option<KeyId>,
    /// Whom to write to about the key
    #[arg(long, value_parser = printable)]
    owner: Option<String>,
    /// What people call the key
    #[arg(long, value_parser = printable)]
    name: Option<String>,
    /// What the key may do; repeat it, or divide scopes by commas. Without any it may do
    /// nothing
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<Scope>,
    /// From when on the key is refused: a length (`90d`), a day (`2026-01-31`, which is its
    /// first moment in UTC), a time (RFC 3339) or `never` [default: 365d]
    #[arg(long, value_name = "WHEN")]
    expires: Option<Expiry>,
    /// The only models that the key may use; repeat it, or divide models by commas
    #[arg(long = "model", value_name = "MODEL", value_delimiter = ',', value_parser = printable)]
    models: Vec<String>,
    /// The only networks that the key may be used from; repeat it, or divide them by commas
    #[arg(long = "network", value_name = "CIDR", value_delimiter = ',')]
    networks: Vec<IpPrefix>,
    /// Anything else to note, as NAME=VALUE; repeat it
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    #[command(flatten)]
    quotas: QuotaArgs,
    #[command(flatten)]
    secret: SecretArgs,
}

/// Limits of its own, in place of those that hold for all.
#[derive(Args, Clone, Copy, Debug)]
struct QuotaArgs {
    /// Requests in a minute, in place of the server's own limit
    #[arg(long, value_name = "N")]
    requests_per_minute: Option<NonZeroU32>,
    /// Requests in an hour
    #[arg(long, value_name = "N")]
    requests_per_hour: Option<NonZeroU32>,
    /// Requests in a day
    #[arg(long, value_name = "N")]
    requests_per_day: Option<NonZeroU32>,
    /// Model tokens, prompt and completion, in a minute
    #[arg(long, value_name = "N")]
    tokens_per_minute: Option<NonZeroU32>,
    /// Requests at once
    #[arg(long, value_name = "N")]
    concurrency: Option<NonZeroU32>,
}

/// Long enough to forget nothing over it, short enough to be renewed some day.
const DEFAULT_EXPIRY: &str = "365d";

impl NewArgs {
    pub(crate) async fn run(self, location: &StoreLocation) -> Result<Outcome, CliError> {
        let now = now();
        if self.id.is_none() && !output::is_interactive() {
            return Err(
                CliError::usage("the key needs an id, and there is no terminal to ask on")
                    .help("add --id and what else it needs; `stockade keys new --help` lists it"),
            );
        }
        let given = Answers {
            owner: self.owner.clone(),
            scopes: self.scopes.iter().cloned().collect(),
            expires: self
                .expires
                .map(|expires| resolve(expires, now))
                .transpose()?,
        };
        let (id, answers) = match &self.id {
            Some(id) => (id.clone(), given),
            None => {
                output::note(format_args!(
                    "A new key in {location}. Enter takes what is in brackets."
                ));
                answers::prompt(given, &location.records().await?, now)?
            }
        };
        self.create(location, id, answers, now).await
    }

    /// Makes the store only when nothing but the store can fail any more.
    async fn create(
        &self,
        location: &StoreLocation,
        id: KeyId,
        answers: Answers,
        now: Timestamp,
    ) -> Result<Outcome, CliError> {
        let issued = self.secret.issue(id.clone())?;
        let mut record = KeyRecord::new(id.clone(), issued.hash.clone())
            .scopes(answers.scopes)
            .networks(self.networks.iter().copied())
            .created(now);
        record.name = self.name.clone();
        record.owner = answers.owner;
        record.models = (!self.models.is_empty()).then(|| self.models.clone());
        record.quotas = self.quotas.into();
        record.metadata = self.metadata.iter().cloned().collect();
        record.expires = match answers.expires {
            Some(expires) => expires,
            None => resolve(DEFAULT_EXPIRY.parse().map_err(CliError::usage)?, now)?,
        };
        let store = location.open(IfMissing::Create).await?;
        store.keys().create(record.clone()).await.map_err(|error| {
            let duplicate = error.kind() == KeyStoreErrorKind::Duplicate;
            let failure = CliError::from(error);
            match duplicate {
                true => failure.help(format_args!(
                    "take another id, or replace that key with `stockade keys rotate {id}`"
                )),
                false => failure,
            }
        })?;
        self.secret.show(&issued, &record, location, now)?;
        if record.scopes.is_empty() {
            output::warn("the key has no scopes, so it may do nothing yet");
        }
        if record.expires.is_none() {
            output::warn(format_args!(
                "the key never expires, however often it is rotated; set an expiry with \
                 `stockade keys rotate {} --expires 90d`",
                record.id
            ));
        }
        Ok(Outcome::Success)
    }
}

fn resolve(expires: Expiry, now: Timestamp) -> Result<Option<Timestamp>, CliError> {
    expires
        .resolve(now)
        .map_err(|problem| CliError::usage(format_args!("--expires: {problem}")))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((printable(name)?, printable(value)?))
}

impl From<QuotaArgs> for QuotaOverrides {
    fn from(args: QuotaArgs) -> Self {
        let mut quotas = Self::default();
        quotas.requests_per_minute = args.requests_per_minute;
        quotas.requests_per_hour = args.requests_per_hour;
        quotas.requests_per_day = args.requests_per_day;
        quotas.tokens_per_minute = args.tokens_per_minute;
        quotas.concurrency = args.concurrency;
        quotas
    }
}
