//! `stockade keys new`.

mod answers;

use std::num::NonZeroU32;

use clap::Args;
use stockade_core::{
    client::IpPrefix,
    clock::Timestamp,
    identity::{QuotaOverrides, Scope},
};
use stockade_key_auth::{KeyId, KeyRecord, KeyStoreErrorKind, SpiffeId};

use super::{
    issued::{IssuedKey, SecretArgs},
    location::{IfMissing, StoreLocation},
    now,
};
use crate::{CliError, Outcome, escape::printable, output, time::Expiry};
use answers::Answers;

/// The key to create.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
On a terminal and without --id, the command prompts for the id, and for the owner, scopes and
expiry unless flags set them.

Examples:
  stockade keys new
  stockade keys new --id team-core --owner ops@example.com \\
      --scope chat:write,models:read --expires 90d
  stockade keys new --id ci --scope chat:write --expires 2026-01-31 \\
      --network 10.0.0.0/8 --requests-per-minute 60 --json
  stockade keys new --id agent --certificate spiffe://example.org/agent --scope chat:write")]
pub(crate) struct NewArgs {
    /// The key's public id: a letter or digit, then up to 63 letters, digits, `.`, `_` or `-`
    #[arg(long)]
    id: Option<KeyId>,
    /// The person or team responsible for the key, such as an e-mail address
    #[arg(long, value_parser = printable)]
    owner: Option<String>,
    /// A display name
    #[arg(long, value_parser = printable)]
    name: Option<String>,
    /// A scope of the key; repeat it, or separate scopes by commas. A key without scopes is
    /// refused by routes that require one
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<Scope>,
    /// When the key expires: after a duration (`90d`), on a day (`2026-01-31`, at midnight
    /// UTC), at a time (RFC 3339) or `never` [default: 365d]
    #[arg(long, value_name = "WHEN")]
    expires: Option<Expiry>,
    /// Allow only this model; repeat it, or separate models by commas [default: all]
    #[arg(long = "model", value_name = "MODEL", value_delimiter = ',', value_parser = printable)]
    models: Vec<String>,
    /// Allow only clients in this network; repeat it, or separate networks by commas
    /// [default: all]
    #[arg(long = "network", value_name = "CIDR", value_delimiter = ',')]
    networks: Vec<IpPrefix>,
    /// Custom metadata; repeat it
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// Create a key without a secret, for clients whose TLS certificate has this SPIFFE ID
    ///
    /// The server needs `server.tls.client_ca_file`.
    #[arg(long, value_name = "SPIFFE_ID", conflicts_with_all = ["pepper_file", "prefix"])]
    certificate: Option<SpiffeId>,
    #[command(flatten)]
    quotas: QuotaArgs,
    #[command(flatten)]
    secret: SecretArgs,
}

/// Limits of the key that override the server's limits.
#[derive(Args, Clone, Copy, Debug)]
struct QuotaArgs {
    /// Requests per minute, instead of the server's limit
    #[arg(long, value_name = "N")]
    requests_per_minute: Option<NonZeroU32>,
    /// Requests per hour, instead of the server's limit
    #[arg(long, value_name = "N")]
    requests_per_hour: Option<NonZeroU32>,
    /// Requests per day, instead of the server's limit
    #[arg(long, value_name = "N")]
    requests_per_day: Option<NonZeroU32>,
    /// Model tokens (prompt and completion) per minute, instead of the server's limit
    #[arg(long, value_name = "N")]
    tokens_per_minute: Option<NonZeroU32>,
    /// Concurrent requests, instead of the server's limit
    #[arg(long, value_name = "N")]
    concurrency: Option<NonZeroU32>,
    /// The share of a busy model: a key of weight 2 gets twice the time of one of weight 1
    #[arg(long, value_name = "N")]
    weight: Option<NonZeroU32>,
}

/// The expiry of a key unless a flag or an answer sets one.
const DEFAULT_EXPIRY: &str = "365d";

impl NewArgs {
    pub(crate) async fn run(self, location: &StoreLocation) -> Result<Outcome, CliError> {
        let now = now();
        if self.id.is_none() && !output::is_interactive() {
            return Err(CliError::usage(
                "--id is required, because the command does not run on a terminal",
            )
            .with_help("add --id, and --owner, --scope and --expires as needed"));
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
                    "Creating a key in {location}. Press Enter to accept the value in brackets."
                ));
                answers::prompt(given, &location.records().await?, now)?
            }
        };
        self.create(location, id, answers, now).await
    }

    /// Creates the key. Creates the store last, so that no other error leaves an empty one.
    async fn create(
        &self,
        location: &StoreLocation,
        id: KeyId,
        answers: Answers,
        now: Timestamp,
    ) -> Result<Outcome, CliError> {
        let issued = match &self.certificate {
            Some(certificate) => IssuedKey::certificate(certificate.clone()),
            None => self.secret.issue(id.clone())?,
        };
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
                true if self.certificate.is_some() => {
                    failure.with_help("choose another id and certificate")
                }
                true => failure.with_help(format_args!(
                    "choose another id, or replace that key with `stockade keys rotate {id}`"
                )),
                false => failure,
            }
        })?;
        self.secret.show(&issued, &record, location, now)?;
        if record.scopes.is_empty() {
            output::warn("the key has no scopes");
            output::help("create keys with --scope, for example --scope chat:write,models:read");
        }
        // A certificate expires by itself.
        if record.expires.is_none() && self.certificate.is_none() {
            output::warn("the key never expires, even after a rotation");
            output::help(format_args!(
                "stockade keys rotate {} --expires 90d",
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
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
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
        quotas.weight = args.weight;
        quotas
    }
}
