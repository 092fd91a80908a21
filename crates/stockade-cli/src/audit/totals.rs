//! Counts over the records of a log.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;
use stockade_audit::LogLine;

use super::invalid_lines::InvalidLines;

/// The highest latency that the histogram resolves, in microseconds: one day.
const MAX_LATENCY: u64 = 24 * 60 * 60 * 1_000_000;

/// The number of distinct names that are counted one by one. A log that is not trusted may
/// have any number of them; the rest is counted as [`OTHER`].
const MAX_NAMES: usize = 1_000;
const OTHER: &str = "(other)";

/// Adds up records.
#[derive(Debug)]
pub(super) struct TotalsBuilder {
    records: u64,
    requests: u64,
    collapsed: u64,
    lost: u64,
    first: Option<String>,
    last: Option<String>,
    statuses: BTreeMap<u16, u64>,
    outcomes: BTreeMap<String, u64>,
    refusals: BTreeMap<String, u64>,
    prompt_tokens: u64,
    completion_tokens: u64,
    bytes_in: u64,
    bytes_out: u64,
    /// In microseconds.
    latencies: Histogram<u64>,
    slowest: u64,
    pub(super) invalid: InvalidLines,
}

/// The totals of a log.
#[derive(Debug, Serialize)]
pub(super) struct Totals {
    pub(super) records: u64,
    /// Requests, including those in collapsed records.
    pub(super) requests: u64,
    /// Refusals that have no record of their own.
    pub(super) collapsed: u64,
    /// Records that the log reports as lost.
    pub(super) lost: u64,
    pub(super) first: Option<String>,
    pub(super) last: Option<String>,
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) outcomes: BTreeMap<String, u64>,
    /// Counts by guard and code, and for collapsed refusals by reason.
    pub(super) refusals: BTreeMap<String, u64>,
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) latency_ms: Option<Latencies>,
    pub(super) invalid_lines: InvalidLines,
}

/// Milliseconds with three significant digits.
#[derive(Debug, Serialize)]
pub(super) struct Latencies {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl TotalsBuilder {
    pub(super) fn new() -> Self {
        Self {
            records: 0,
            requests: 0,
            collapsed: 0,
            lost: 0,
            first: None,
            last: None,
            statuses: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            refusals: BTreeMap::new(),
            prompt_tokens: 0,
            completion_tokens: 0,
            bytes_in: 0,
            bytes_out: 0,
            latencies: Histogram::new_with_bounds(1, MAX_LATENCY, 3)
                .expect("a day of microseconds to three digits is within the bounds"),
            slowest: 0,
            invalid: InvalidLines::default(),
        }
    }

    pub(super) fn add(&mut self, record: &LogLine) {
        self.records += 1;
        self.first.get_or_insert_with(|| record.timestamp.clone());
        self.last = Some(record.timestamp.clone());
        match (&record.event, record.repeated) {
            (None, _) => self.request(record),
            (Some(_), Some(times)) => self.repeated(record, times),
            (Some(_), None) => {}
        }
        self.lost = self.lost.saturating_add(record.lost.unwrap_or_default());
    }

    fn request(&mut self, record: &LogLine) {
        self.requests = self.requests.saturating_add(1);
        if let Some(guard) = &record.guard {
            let code = record.code.as_deref().unwrap_or("-");
            add(&mut self.refusals, format!("{guard} {code}"), 1);
        }
        if let Some(outcome) = &record.outcome {
            add(&mut self.outcomes, outcome.clone(), 1);
        }
        self.status(record, 1);
        for (sum, number) in [
            (&mut self.prompt_tokens, record.prompt_tokens),
            (&mut self.completion_tokens, record.completion_tokens),
            (&mut self.bytes_in, record.bytes_in),
            (&mut self.bytes_out, record.bytes_out),
        ] {
            // The numbers come from a file that is not trusted.
            *sum = sum.saturating_add(number.unwrap_or_default());
        }
        if let Some(ms) = record.latency_ms {
            // The cast saturates: NaN and negative numbers become 0.
            let micros = (ms * 1_000.0).round() as u64;
            self.latencies.saturating_record(micros);
            self.slowest = self.slowest.max(micros);
        }
    }

    /// Adds refusals that were collapsed into one record.
    fn repeated(&mut self, record: &LogLine, times: u64) {
        self.requests = self.requests.saturating_add(times);
        self.collapsed = self.collapsed.saturating_add(times);
        let reason = record.reason.as_deref().unwrap_or("-");
        add(&mut self.refusals, format!("(collapsed) {reason}"), times);
        self.status(record, times);
    }

    fn status(&mut self, record: &LogLine, times: u64) {
        if let Some(status) = record.status {
            let count = self.statuses.entry(status).or_default();
            *count = count.saturating_add(times);
        }
    }

    /// The totals of the records so far.
    pub(super) fn totals(self) -> Totals {
        let latency_ms = (!self.latencies.is_empty())
            .then(|| Latencies::from_histogram(&self.latencies, self.slowest));
        Totals {
            records: self.records,
            requests: self.requests,
            collapsed: self.collapsed,
            lost: self.lost,
            first: self.first,
            last: self.last,
            statuses: self.statuses,
            outcomes: self.outcomes,
            refusals: self.refusals,
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            latency_ms,
            invalid_lines: self.invalid,
        }
    }
}

fn add(counts: &mut BTreeMap<String, u64>, name: String, times: u64) {
    let is_new = !counts.contains_key(&name);
    let name = match is_new && counts.len() >= MAX_NAMES {
        true => OTHER.to_owned(),
        false => name,
    };
    let count = counts.entry(name).or_default();
    *count = count.saturating_add(times);
}

impl Latencies {
    fn from_histogram(latencies: &Histogram<u64>, slowest: u64) -> Self {
        let ms = |micros: u64| micros as f64 / 1_000.0;
        // The histogram rounds up, so a quantile may exceed the slowest request.
        let quantile = |quantile| ms(latencies.value_at_quantile(quantile).min(slowest));
        Self {
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            max: ms(slowest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(records: impl IntoIterator<Item = String>) -> Totals {
        let mut tally = TotalsBuilder::new();
        for record in records {
            tally.add(&record.parse().unwrap());
        }
        tally.totals()
    }

    fn record(fields: &str) -> String {
        format!(
            r#"{{"timestamp":"2026-01-31T12:00:00.000000Z","level":"info","message":"m","seq":1,{fields}}}"#
        )
    }

    #[test]
    fn latencies_have_three_significant_digits() {
        let totals = tally((1..=1_000).map(|ms| record(&format!(r#""latency_ms":{ms}.000"#))));
        let latency = totals.latency_ms.unwrap();
        for (found, expected) in [
            (latency.p50, 500.0),
            (latency.p90, 900.0),
            (latency.p99, 990.0),
            (latency.max, 1_000.0),
        ] {
            assert!(
                (found / expected - 1.0_f64).abs() < 0.002,
                "{found} {expected}"
            );
        }
        assert!(tally([]).latency_ms.is_none());
    }

    #[test]
    fn collapsed_refusals_are_requests() {
        let totals = tally([
            record(r#""status":401,"guard":"key_auth","code":"invalid_token","reason":"unknown""#),
            record(
                r#""event":"repeated","status":401,"ip":"203.0.113.7","reason":"unknown","repeated":41"#,
            ),
            record(r#""event":"banned","subject":"203.0.113.7""#),
            record(r#""event":"records_lost","lost":3"#),
        ]);
        assert_eq!(
            (totals.requests, totals.collapsed, totals.lost),
            (42, 41, 3)
        );
        assert_eq!(totals.statuses[&401], 42);
        assert_eq!(
            totals.refusals.into_iter().collect::<Vec<_>>(),
            [
                ("(collapsed) unknown".to_owned(), 41),
                ("key_auth invalid_token".to_owned(), 1)
            ]
        );
    }

    // R06
    #[test]
    fn bounds_the_number_of_distinct_names() {
        let refusal = |number| record(&format!(r#""guard":"g{number}","code":"c""#));
        let totals = tally((0..3_000).chain(0..10).map(refusal));
        assert_eq!(totals.requests, 3_010);
        assert_eq!(totals.refusals.len(), MAX_NAMES + 1);
        assert_eq!(totals.refusals["g0 c"], 2);
        assert_eq!(totals.refusals[OTHER], 2_000);
    }

    #[test]
    fn absurd_numbers_saturate() {
        let absurd = format!(
            r#""latency_ms":1e300,"bytes_in":{0},"prompt_tokens":{0}"#,
            u64::MAX
        );
        let totals = tally([
            record(&absurd),
            record(&absurd),
            record(r#""latency_ms":-5.0"#),
        ]);
        assert_eq!(
            (totals.bytes_in, totals.prompt_tokens),
            (u64::MAX, u64::MAX)
        );
    }
}
