//! Usage of a batch, summed by scope and period.

use std::collections::{BTreeMap, HashSet};

use jiff::{Timestamp, tz::TimeZone};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use stockade_core::llm::TokenUsage;

use super::{Latencies, record::Record};
use crate::PriceConfig;

/// What rows are summed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Scope {
    Total,
    Key,
    Model,
    KeyModel,
}

/// The length of a row, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Period {
    Hour,
    Day,
    Month,
}

/// The counters before the latencies, as columns.
pub(crate) const COUNTERS: [&str; 7] = [
    "requests",
    "errors",
    "refused",
    "prompt_tokens",
    "completion_tokens",
    "priced",
    "cost",
];

/// The figures of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) refused: u64,
    pub(crate) prompt_tokens: u64,
    pub(crate) completion_tokens: u64,
    /// The number of requests whose model has a price.
    pub(crate) priced: u64,
    /// In a billionth of the currency.
    pub(crate) cost: u64,
    /// Of the requests that were not refused.
    pub(crate) latencies: Latencies,
}

/// The columns that identify a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowId {
    scope: Scope,
    period: Period,
    key: String,
    model: String,
    start: i64,
}

/// A row to add.
struct Row<'u>(&'u RowId, &'u Counters);

/// Knows the prices, and the models that are counted by name.
#[derive(Debug)]
pub(crate) struct UsageMeter {
    prices: BTreeMap<String, PriceConfig>,
    /// Clients choose the names in their requests, so the names of models that have never been
    /// served are not counted; otherwise each request could add rows.
    models: HashSet<String>,
}

/// A bound for a program that serves all names.
const MAX_MODELS: usize = 1_000;

impl Period {
    pub(crate) const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Month];

    /// The start of the period that contains a time, both in milliseconds since 1970.
    pub(crate) fn start(self, at: i64) -> i64 {
        const HOUR: i64 = 60 * 60 * 1_000;

        match self {
            Self::Hour => at - at.rem_euclid(HOUR),
            Self::Day => at - at.rem_euclid(24 * HOUR),
            Self::Month => {
                let time = Timestamp::from_millisecond(at).unwrap_or_default();
                let date = time
                    .to_zoned_datetime(TimeZone::UTC)
                    .date()
                    .first_of_month();
                let first = date.to_zoned_datetime(TimeZone::UTC);
                first.map_or(at, |first| first.timestamp().as_millisecond())
            }
        }
    }
}

impl UsageMeter {
    pub(crate) fn new(prices: BTreeMap<String, PriceConfig>) -> Self {
        let models = prices.keys().cloned().collect();
        Self { prices, models }
    }

    /// The rows of a batch as a JSON array.
    pub(crate) fn rows(&mut self, records: &[Record]) -> String {
        let mut rows: BTreeMap<RowId, Counters> = BTreeMap::new();
        for record in records.iter().filter(|record| record.requests > 0) {
            let model = self.model(record);
            let counters = self.count(record, &model);
            let key = record.user_id.clone().unwrap_or_default();
            for (scope, key, model) in [
                (Scope::Total, "", ""),
                (Scope::Key, &*key, ""),
                (Scope::Model, "", &*model),
                (Scope::KeyModel, &*key, &*model),
            ] {
                for period in Period::ALL {
                    let id = RowId {
                        scope,
                        period,
                        key: key.to_owned(),
                        model: model.to_owned(),
                        start: period.start(record.at),
                    };
                    rows.entry(id).or_default().merge(&counters);
                }
            }
        }
        let rows: Vec<_> = rows
            .iter()
            .map(|(id, counters)| Row(id, counters))
            .collect();
        serde_json::to_string(&rows).expect("texts and numbers can be written as JSON")
    }

    fn model(&mut self, record: &Record) -> String {
        let Some(model) = &record.model else {
            return String::new();
        };
        if !self.models.contains(model) {
            if !record.is_served() || self.models.len() >= MAX_MODELS {
                return String::new();
            }
            self.models.insert(model.clone());
        }
        model.clone()
    }

    fn count(&self, record: &Record, model: &str) -> Counters {
        let count = |tokens: Option<i64>| u64::try_from(tokens.unwrap_or(0)).unwrap_or(0);
        let (prompt, completion) = (count(record.prompt_tokens), count(record.completion_tokens));
        let price = self.prices.get(model);
        let mut counters = Counters {
            requests: record.requests,
            errors: u64::from(record.is_error()),
            refused: if record.is_refused() {
                record.requests
            } else {
                0
            },
            prompt_tokens: prompt,
            completion_tokens: completion,
            priced: u64::from(price.is_some()),
            cost: price.map_or(0, |price| {
                let usage = TokenUsage {
                    prompt_tokens: prompt,
                    completion_tokens: completion,
                };
                (price.millionths(usage) * 1_000.0).round() as u64
            }),
            latencies: Latencies::default(),
        };
        if !record.is_refused() {
            record
                .latency_ms
                .iter()
                .for_each(|millis| counters.latencies.add(*millis));
        }
        counters
    }
}

impl Counters {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.refused += other.refused;
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self
            .completion_tokens
            .saturating_add(other.completion_tokens);
        self.priced += other.priced;
        self.cost = self.cost.saturating_add(other.cost);
        self.latencies.merge(&other.latencies);
    }

    /// In the order of [`COUNTERS`].
    fn values(&self) -> [u64; COUNTERS.len()] {
        [
            self.requests,
            self.errors,
            self.refused,
            self.prompt_tokens,
            self.completion_tokens,
            self.priced,
            self.cost,
        ]
    }
}

impl Serialize for Row<'_> {
    fn serialize<S>(&self, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        let Self(id, counters) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("scope", &(id.scope as i64))?;
        map.serialize_entry("period", &(id.period as i64))?;
        map.serialize_entry("key_id", &id.key)?;
        map.serialize_entry("model", &id.model)?;
        map.serialize_entry("start", &id.start)?;
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        for (name, value) in COUNTERS.iter().zip(counters.values()) {
            map.serialize_entry(name, &number(value))?;
        }
        for (bucket, value) in counters.latencies.0.iter().enumerate() {
            map.serialize_entry(&format!("l{bucket}"), &number(*value))?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn periods_begin_in_utc() {
        let at = crate::time::parse("2026-02-28T23:59:59.999Z").unwrap();
        for (period, start) in [
            (Period::Hour, "2026-02-28T23:00:00Z"),
            (Period::Day, "2026-02-28T00:00:00Z"),
            (Period::Month, "2026-02-01T00:00:00Z"),
        ] {
            assert_eq!(crate::time::rfc3339(period.start(at)), start);
        }
    }

    fn rows(meter: &mut UsageMeter, lines: &[&str]) -> Vec<Value> {
        let lines = lines.iter().map(|fields| {
            let line = format!(
                r#"{{"timestamp":"2026-01-31T12:00:00Z","level":"info","message":"m","seq":1,{fields}}}"#
            );
            Record::parse(&line, 1).unwrap()
        });
        let records: Vec<_> = lines.collect();
        serde_json::from_str(&meter.rows(&records)).unwrap()
    }

    #[test]
    fn sums_tokens_and_cost() {
        let price = PriceConfig {
            prompt_per_million: 2.0,
            completion_per_million: 10.0,
        };
        let mut meter = UsageMeter::new([("qwen".to_owned(), price)].into());
        let line = r#""user":"a","model":"qwen","status":200,"prompt_tokens":100,"completion_tokens":50,"latency_ms":7"#;
        let rows = rows(
            &mut meter,
            &[line, line, r#""event":"repeated","repeated":5"#],
        );
        let of_key = rows
            .iter()
            .find(|row| row["scope"] == 3 && row["period"] == 1 && row["key_id"] == "a")
            .unwrap();
        assert_eq!(of_key["requests"], 2);
        assert_eq!(
            (&of_key["prompt_tokens"], &of_key["l1"]),
            (&json!(200), &json!(2))
        );
        // 200 × 2 + 100 × 10 millionths.
        assert_eq!(of_key["cost"], 1_400_000);
        let total = rows.iter().find(|row| row["scope"] == 0).unwrap();
        assert_eq!(
            (&total["requests"], &total["refused"]),
            (&json!(7), &json!(5))
        );
    }

    #[test]
    fn clients_cannot_add_models() {
        let mut meter = UsageMeter::new(BTreeMap::new());
        let unknown = r#""user":"a","model":"invented","status":404"#;
        assert!(
            rows(&mut meter, &[unknown])
                .iter()
                .all(|row| row["model"] == "")
        );
        let served = r#""user":"a","model":"qwen","status":200"#;
        let failed = r#""user":"a","model":"qwen","status":502"#;
        let rows = rows(&mut meter, &[served, failed]);
        let of_model = rows.iter().find(|row| row["scope"] == 2).unwrap();
        assert_eq!(of_model["model"], "qwen");
        assert_eq!(
            (&of_model["requests"], &of_model["errors"]),
            (&json!(2), &json!(1))
        );
    }
}
