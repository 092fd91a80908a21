//! `stockade keys list`.

use clap::Args;
use stockade_core::Timestamp;
use stockade_key_auth::KeyRecord;
use tabled::builder::Builder;

use super::{
    now,
    state::State,
    store::{Missing, Place},
    view::View,
};
use crate::{Failure, Outcome, moment::Shown, output, visible::visible};

/// How to list.
#[derive(Args, Clone, Debug)]
pub(crate) struct ListArgs {
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl ListArgs {
    pub(crate) async fn run(self, place: &Place) -> Result<Outcome, Failure> {
        let records = place.open(Missing::Refuse).await?.list().await?;
        let now = now();
        if self.json {
            let views: Vec<_> = records.iter().map(|record| View::of(record, now)).collect();
            output::answer_json(&views)?;
        } else if records.is_empty() {
            output::remark(format_args!(
                "There are no keys in {place}; make one with `stockade keys new`."
            ));
        } else {
            output::answer_table(table(&records, now))?;
        }
        Ok(Outcome::Done)
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
    let state = State::of(record, now);
    let style = state.style();
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let time = |at: Option<Timestamp>| at.map(|at| Shown(at).to_string());
    let scopes = (!record.scopes.is_empty()).then(|| record.scopes.to_string());
    [
        record.id.to_string(),
        or_dash(record.owner.as_deref().map(visible)),
        or_dash(scopes),
        format!("{style}{}{style:#}", state.name()),
        or_dash(time(record.created)),
        time(record.expires).unwrap_or_else(|| "never".to_owned()),
        time(record.last_used).unwrap_or_else(|| "never".to_owned()),
    ]
}
