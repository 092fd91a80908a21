//! What is counted of a log.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;
use stockade_audit::LogLine;

use super::{
    bad_lines::BadLines,
    top::{Most, Top},
};

/// The longest latency that is told apart, in microseconds: a day.
const LONGEST: u64 = 24 * 60 * 60 * 1_000_000;

/// Counts records, one after the other.
#[derive(Debug)]
pub(super) struct Tally {
    records: u64,
    requests: u64,
    collapsed: u64,
    lost: u64,
    first: Option<String>,
    last: Option<String>,
    statuses: BTreeMap<u16, u64>,
    outcomes: Top,
    refusals: Top,
    events: Top,
    routes: Top,
    users: Top,
    ips: Top,
    models: Top,
    prompt_tokens: u64,
    completion_tokens: u64,
    bytes_in: u64,
    bytes_out: u64,
    /// In microseconds.
    latencies: Histogram<u64>,
    slowest: u64,
    pub(super) bad: BadLines,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(super) struct Totals {
    pub(super) records: u64,
    /// Requests, with those that have no record of their own.
    pub(super) requests: u64,
    /// Refusals that were collapsed into one record.
    pub(super) collapsed: u64,
    /// Records that were lost, as the log says.
    pub(super) lost: u64,
    pub(super) first: Option<String>,
    pub(super) last: Option<String>,
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) outcomes: Most,
    /// By guard and code; of those that were collapsed only the cause is known.
    pub(super) refusals: Most,
    pub(super) events: Most,
    pub(super) routes: Most,
    pub(super) users: Most,
    pub(super) ips: Most,
    pub(super) models: Most,
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) latency_ms: Option<Latencies>,
    pub(super) bad_lines: BadLines,
}

/// Milliseconds, to three digits.
#[derive(Debug, Serialize)]
pub(super) struct Latencies {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            records: 0,
            requests: 0,
            collapsed: 0,
            lost: 0,
            first: None,
            last: None,
            statuses: BTreeMap::new(),
            outcomes: Top::default(),
            refusals: Top::default(),
            events: Top::default(),
            routes: Top::default(),
            users: Top::default(),
            ips: Top::default(),
            models: Top::default(),
            prompt_tokens: 0,
            completion_tokens: 0,
            bytes_in: 0,
            bytes_out: 0,
            latencies: Histogram::new_with_bounds(1, LONGEST, 3)
                .expect("a day of microseconds to three digits is within the bounds"),
            slowest: 0,
            bad: BadLines::default(),
        }
    }

    pub(super) fn add(&mut self, record: &LogLine) {
        self.records += 1;
        self.first.get_or_insert_with(|| record.timestamp.clone());
        self.last = Some(record.timestamp.clone());
        match (&record.event, record.repeated) {
            (None, _) => self.request(record),
            (Some(_), Some(times)) => self.repeated(record, times),
            (Some(event), None) => self.events.add(event, 1),
        }
        self.lost = self.lost.saturating_add(record.lost.unwrap_or_default());
    }

    fn request(&mut self, record: &LogLine) {
        self.requests = self.requests.saturating_add(1);
        if let Some(guard) = &record.guard {
            let code = record.code.as_deref().unwrap_or("-");
            self.refusals.add(&format!("{guard} {code}"), 1);
        }
        self.client(record, 1);
        for (top, name) in [
            (&mut self.outcomes, &record.outcome),
            (&mut self.routes, &record.path),
            (&mut self.users, &record.user),
            (&mut self.models, &record.model),
        ] {
            if let Some(name) = name {
                top.add(name, 1);
            }
        }
        for (sum, number) in [
            (&mut self.prompt_tokens, record.prompt_tokens),
            (&mut self.completion_tokens, record.completion_tokens),
            (&mut self.bytes_in, record.bytes_in),
            (&mut self.bytes_out, record.bytes_out),
        ] {
            // Anybody may have written the file.
            *sum = sum.saturating_add(number.unwrap_or_default());
        }
        if let Some(ms) = record.latency_ms {
            // A cast of a number that is too large, or none, takes the nearest.
            let micros = (ms * 1_000.0).round() as u64;
            self.latencies.saturating_record(micros);
            self.slowest = self.slowest.max(micros);
        }
    }

    /// Refusals of one kind, of which only the number is known.
    fn repeated(&mut self, record: &LogLine, times: u64) {
        self.requests = self.requests.saturating_add(times);
        self.collapsed = self.collapsed.saturating_add(times);
        let reason = record.reason.as_deref().unwrap_or("-");
        self.refusals.add(&format!("(collapsed) {reason}"), times);
        self.client(record, times);
    }

    fn client(&mut self, record: &LogLine, times: u64) {
        if let Some(status) = record.status {
            let count = self.statuses.entry(status).or_default();
            *count = count.saturating_add(times);
        }
        if let Some(ip) = &record.ip {
            self.ips.add(ip, times);
        }
    }

    /// What came of it, with so many names of each kind.
    pub(super) fn totals(self, names: usize) -> Totals {
        let latency_ms =
            (!self.latencies.is_empty()).then(|| Latencies::of(&self.latencies, self.slowest));
        Totals {
            records: self.records,
            requests: self.requests,
            collapsed: self.collapsed,
            lost: self.lost,
            first: self.first,
            last: self.last,
            statuses: self.statuses,
            outcomes: self.outcomes.most(names),
            refusals: self.refusals.most(names),
            events: self.events.most(names),
            routes: self.routes.most(names),
            users: self.users.most(names),
            ips: self.ips.most(names),
            models: self.models.most(names),
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            latency_ms,
            bad_lines: self.bad,
        }
    }
}

impl Latencies {
    fn of(latencies: &Histogram<u64>, slowest: u64) -> Self {
        let ms = |micros: u64| micros as f64 / 1_000.0;
        // The histogram rounds up, over what the slowest request took.
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
        let mut tally = Tally::new();
        for record in records {
            tally.add(&record.parse().unwrap());
        }
        tally.totals(10)
    }

    fn record(fields: &str) -> String {
        format!(
            r#"{{"timestamp":"2026-01-31T12:00:00.000000Z","level":"info","message":"m","seq":1,{fields}}}"#
        )
    }

    #[test]
    fn latencies_are_told_to_three_digits() {
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
        let refusals: Vec<_> = totals
            .refusals
            .names
            .iter()
            .map(|one| (&*one.name, one.count))
            .collect();
        assert_eq!(
            refusals,
            [("(collapsed) unknown", 41), ("key_auth invalid_token", 1)]
        );
        assert_eq!(totals.ips.names[0].count, 41);
        assert_eq!(totals.events.names.len(), 2);
    }

    #[test]
    fn numbers_that_nobody_can_have_measured_end_nothing() {
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
