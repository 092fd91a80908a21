//! The figures of the last seconds, in memory.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{Latencies, record::Record};

/// How many seconds are kept.
pub(crate) const WINDOW: i64 = 300;

/// A bound for the codes of a second.
const MAX_CODES: usize = 100;

/// The figures of this process.
#[derive(Debug)]
pub(crate) struct Live {
    seconds: Mutex<VecDeque<LiveSecond>>,
    totals: Mutex<LiveTotals>,
    start: Instant,
}

/// The requests since the start, and their status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LiveTotals {
    pub(crate) requests: u64,
    pub(crate) successes: u64,
    pub(crate) client_errors: u64,
    pub(crate) server_errors: u64,
}

/// The figures of a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LiveSecond {
    /// In seconds since 1970.
    pub(crate) at: i64,
    pub(crate) requests: u64,
    pub(crate) refused: u64,
    pub(crate) errors: u64,
    pub(crate) tokens: u64,
    /// The refused requests by code.
    pub(crate) codes: BTreeMap<String, u64>,
    /// Of the requests that were not refused.
    pub(crate) latencies: Latencies,
}

impl Live {
    pub(crate) fn add(&self, records: &[Record]) {
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        records.iter().for_each(|record| totals.add(record));
        drop(totals);
        let mut seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        for record in records.iter().filter(|record| record.requests > 0) {
            let at = record.at.div_euclid(1_000);
            let newest = seconds.back().map_or(i64::MIN, |second| second.at);
            if at > newest {
                seconds.push_back(LiveSecond {
                    at,
                    ..LiveSecond::default()
                });
                while seconds
                    .front()
                    .is_some_and(|second| second.at <= at - WINDOW)
                {
                    seconds.pop_front();
                }
            }
            // Records are almost in order; a second that has no entry yet is added.
            let place = seconds.binary_search_by_key(&at, |second| second.at);
            let place = match place {
                Ok(place) => place,
                Err(_) if at <= newest - WINDOW => continue,
                Err(place) => {
                    seconds.insert(
                        place,
                        LiveSecond {
                            at,
                            ..LiveSecond::default()
                        },
                    );
                    place
                }
            };
            seconds[place].add(record);
        }
    }

    /// The seconds of the window that ends before `end`, in order and without gaps.
    pub(crate) fn window(&self, end: i64) -> Vec<LiveSecond> {
        let seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        let start = end - WINDOW;
        let mut window: Vec<_> = (start..end)
            .map(|at| LiveSecond {
                at,
                ..LiveSecond::default()
            })
            .collect();
        for second in seconds.iter() {
            let place = usize::try_from(second.at - start).ok();
            if let Some(place) = place.and_then(|place| window.get_mut(place)) {
                place.clone_from(second);
            }
        }
        window
    }

    /// The requests since the start.
    pub(crate) fn totals(&self) -> LiveTotals {
        *self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time since the start.
    pub(crate) fn uptime(&self) -> Duration {
        self.start.elapsed()
    }

    /// The figures of one second.
    pub(crate) fn second(&self, at: i64) -> LiveSecond {
        let seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        let found = seconds.binary_search_by_key(&at, |second| second.at);
        let found = found.ok().and_then(|place| seconds.get(place));
        found.cloned().unwrap_or_else(|| LiveSecond {
            at,
            ..LiveSecond::default()
        })
    }
}

impl Default for Live {
    fn default() -> Self {
        Self {
            seconds: Mutex::default(),
            totals: Mutex::default(),
            start: Instant::now(),
        }
    }
}

impl LiveTotals {
    fn add(&mut self, record: &Record) {
        self.requests += record.requests;
        match record.status {
            Some(200..300) => self.successes += record.requests,
            Some(400..500) => self.client_errors += record.requests,
            Some(500..) => self.server_errors += record.requests,
            // Coalesced refusals have no status; they are those of a client.
            None if record.is_refused() => self.client_errors += record.requests,
            // Redirects, and requests without a response.
            _ => (),
        }
    }
}

impl LiveSecond {
    fn add(&mut self, record: &Record) {
        let tokens = [record.prompt_tokens, record.completion_tokens];
        let tokens = tokens
            .into_iter()
            .flatten()
            .map(|count| count.unsigned_abs());
        self.requests += record.requests;
        self.errors += u64::from(record.is_error());
        self.tokens = tokens.fold(self.tokens, u64::saturating_add);
        if record.is_refused() {
            self.refused += record.requests;
            let code = record.code.as_deref().or(record.reason.as_deref());
            let code =
                code.filter(|code| self.codes.len() < MAX_CODES || self.codes.contains_key(*code));
            *self
                .codes
                .entry(code.unwrap_or("OTHER").to_owned())
                .or_default() += record.requests;
        } else {
            record
                .latency_ms
                .iter()
                .for_each(|millis| self.latencies.add(*millis));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(secs: i64, fields: &str) -> Record {
        let at = crate::time::rfc3339(secs * 1_000);
        let line =
            format!(r#"{{"timestamp":"{at}","level":"info","message":"m","seq":1{fields}}}"#);
        Record::parse(&line, 1).unwrap()
    }

    #[test]
    fn counts_by_second_also_out_of_order() {
        let live = Live::default();
        let served = r#","status":200,"prompt_tokens":3,"completion_tokens":4"#;
        let refused = r#","status":429,"guard":"rate_limit","code":"RATE_LIMITED""#;
        live.add(&[
            record(1_000, served),
            record(1_002, refused),
            record(1_001, served),
            record(
                1_000,
                r#","event":"repeated","repeated":9,"reason":"RATE_LIMITED""#,
            ),
        ]);
        let window = live.window(1_003);
        assert_eq!(window.len(), WINDOW as usize);
        let last: Vec<_> = window[297..]
            .iter()
            .map(|second| (second.at, second.requests, second.refused, second.tokens))
            .collect();
        assert_eq!(
            last,
            [(1_000, 10, 9, 7), (1_001, 1, 0, 7), (1_002, 1, 1, 0)]
        );
        assert_eq!(live.second(1_002).codes["RATE_LIMITED"], 1);
        let totals = LiveTotals {
            requests: 12,
            successes: 2,
            client_errors: 10,
            server_errors: 0,
        };
        assert_eq!(live.totals(), totals);
        assert_eq!(live.second(999).requests, 0);
    }

    #[test]
    fn keeps_the_window_only() {
        let live = Live::default();
        live.add(&[record(1_000, ""), record(1_300, ""), record(1_000, "")]);
        assert_eq!(live.second(1_000).requests, 0);
        assert_eq!(
            live.window(1_301)
                .iter()
                .map(|second| second.requests)
                .sum::<u64>(),
            1
        );
    }
}
