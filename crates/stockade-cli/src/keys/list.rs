//! `stockade keys list`.

use clap::Args;
use stockade_core::clock::Timestamp;
use stockade_key_auth::KeyRecord;
use tabled::builder::Builder;

use super::{
    key_view::KeyView,
    location::{IfMissing, StoreLocation},
    now,
    state::KeyState,
};
use crate::{CliError, Outcome, escape::escape, output, time::Rfc3339};

/// The format of the list.
#[derive(Args, Clone, Debug)]
pub(crate) struct ListArgs {
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl ListArgs {
    pub(crate) async fn run(self, location: &StoreLocation) -> Result<Outcome, CliError> {
        let records = location.open(IfMissing::Fail).await?.list().await?;
        let now = now();
        if self.json {
            let views: Vec<_> = records
                .iter()
                .map(|record| KeyView::new(record, now))
                .collect();
            output::print_json(&views)?;
        } else if records.is_empty() {
            output::note(format_args!(
                "{location} has no keys. Create one with `stockade keys new`."
            ));
        } else {
            output::print_table(table(&records, now))?;
        }
        Ok(Outcome::Success)
    }
}

const HEADINGS: [&str; 7] = [
    "ID",
    "OWNER",
    "SCOPES",
    "STATE",
    "CREATED",
    "EXPIRES",
    "LAST USED",
];

fn table(records: &[KeyRecord], now: Timestamp) -> Builder {
    let mut table = Builder::with_capacity(records.len() + 1, HEADINGS.len());
    table.push_record(HEADINGS);
    for record in records {
        table.push_record(row(record, now));
    }
    table
}

fn row(record: &KeyRecord, now: Timestamp) -> [String; 7] {
    let state = KeyState::new(record, now);
    let style = state.style();
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let time = |at: Option<Timestamp>| at.map(|at| Rfc3339(at).to_string());
    let scopes = (!record.scopes.is_empty()).then(|| record.scopes.to_string());
    [
        record.id.to_string(),
        or_dash(record.owner.as_deref().map(escape)),
        or_dash(scopes),
        format!("{style}{}{style:#}", state.name()),
        or_dash(time(record.created)),
        time(record.expires).unwrap_or_else(|| "never".to_owned()),
        time(record.last_used).unwrap_or_else(|| "never".to_owned()),
    ]
}
