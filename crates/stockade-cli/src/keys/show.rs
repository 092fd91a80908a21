//! `stockade keys show`.

use clap::Args;
use stockade_core::clock::Timestamp;
use stockade_key_auth::{KeyId, KeyRecord};

use super::{
    key_view::KeyView,
    location::{IfMissing, StoreLocation},
    now,
    state::KeyState,
};
use crate::{CliError, Outcome, escape::escape, output, time::Rfc3339};

/// The key to show.
#[derive(Args, Clone, Debug)]
pub(crate) struct ShowArgs {
    /// The key's id
    id: KeyId,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl ShowArgs {
    pub(crate) async fn run(self, location: &StoreLocation) -> Result<Outcome, CliError> {
        let record = location.open(IfMissing::Fail).await?.find(&self.id).await?;
        if self.json {
            output::print_json(&KeyView::new(&record, now()))?;
        } else {
            for (name, value) in lines(&record, now()) {
                output::print(format_args!("{name:<22} {value}"))?;
            }
        }
        Ok(Outcome::Success)
    }
}

fn lines(record: &KeyRecord, now: Timestamp) -> Vec<(String, String)> {
    let state = KeyState::new(record, now);
    let style = state.style();
    let mut lines = vec![
        ("id".to_owned(), record.id.to_string()),
        (
            "state".to_owned(),
            format!("{style}{}{style:#}", state.name()),
        ),
    ];
    let mut add = |name: &str, value: Option<String>| {
        lines.extend(value.map(|value| (name.to_owned(), value)));
    };
    let time = |at: Timestamp| Rfc3339(at).to_string();
    add("name", record.name.as_deref().map(escape));
    add("owner", record.owner.as_deref().map(escape));
    add(
        "scopes",
        Some(match record.scopes.is_empty() {
            true => "none".to_owned(),
            false => record.scopes.to_string(),
        }),
    );
    let models = record
        .models
        .as_ref()
        .map(|models| escape(&models.join(", ")));
    add("models", Some(models.unwrap_or_else(|| "all".to_owned())));
    let networks: Vec<_> = record.networks.iter().map(ToString::to_string).collect();
    add(
        "networks",
        (!networks.is_empty()).then(|| networks.join(", ")),
    );
    let quotas = &record.quotas;
    for (name, quota) in [
        ("requests per minute", quotas.requests_per_minute),
        ("requests per hour", quotas.requests_per_hour),
        ("requests per day", quotas.requests_per_day),
        ("tokens per minute", quotas.tokens_per_minute),
        ("concurrent requests", quotas.concurrency),
        ("weight", quotas.weight),
    ] {
        add(name, quota.map(|quota| quota.to_string()));
    }
    add("created", record.created.map(time));
    add(
        "expires",
        Some(record.expires.map_or_else(|| "never".to_owned(), time)),
    );
    add("revoked", record.revoked.map(time));
    add(
        "last used",
        Some(record.last_used.map_or_else(|| "never".to_owned(), time)),
    );
    if let KeyState::Rotating(until) = state {
        add("old secret valid until", Some(time(until)));
    }
    match record.hash.as_certificate() {
        Some(id) => add("certificate", Some(id.to_string())),
        None => add("hash algorithm", Some(record.hash.algorithm().to_owned())),
    }
    for (name, value) in &record.metadata {
        add(&escape(name), Some(escape(value)));
    }
    lines
}
