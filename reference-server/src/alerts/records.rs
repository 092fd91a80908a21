//! The conditions that records show: security events, and the rates of refusals.

use std::collections::VecDeque;

use memchr::memmem;
use stockade_audit::{EventKind, LogLine};
use stockade_server_config::{AlertCondition, AlertsConfig};

use super::ledger::Finding;

/// The time over which refusals are counted, in seconds.
const WINDOW: i64 = 60;

/// Where the level and the message of a record are: after its time, which has a fixed width.
const HEAD: usize = 100;
/// In almost all records of a log of requests, which are not parsed.
const COMPLETED: &[u8] = br#""level":"info","message":"request completed""#;

/// Events that are conditions of their subject.
const EVENTS: [(EventKind, AlertCondition); 10] = [
    (EventKind::Banned, AlertCondition::Bans),
    (EventKind::KeyCreated, AlertCondition::KeyCreated),
    (EventKind::KeyRotated, AlertCondition::KeyChanged),
    (EventKind::KeyRevoked, AlertCondition::KeyChanged),
    (EventKind::KeyChanged, AlertCondition::KeyChanged),
    (EventKind::UserCreated, AlertCondition::PermissionsChanged),
    (EventKind::UserChanged, AlertCondition::PermissionsChanged),
    (EventKind::UserDeleted, AlertCondition::PermissionsChanged),
    (EventKind::RoleChanged, AlertCondition::PermissionsChanged),
    (EventKind::TokenCreated, AlertCondition::PermissionsChanged),
];

/// Changes of keys that the fence records, too, whichever process made them.
const RECORDED_TWICE: [&str; 3] = ["created", "rotated", "revoked"];

/// Parses a record; `None` for requests that succeeded, and for invalid lines.
pub(super) fn parse(line: &[u8]) -> Option<LogLine> {
    let head = &line[..line.len().min(HEAD)];
    if memmem::find(head, COMPLETED).is_some() {
        return None;
    }
    std::str::from_utf8(line).ok()?.parse().ok()
}

/// What was counted in records.
pub(super) struct Records {
    auth_failures: Rate,
    rate_limited: Option<Rate>,
}

impl Records {
    pub(super) fn new(config: &AlertsConfig) -> Self {
        let rate = |limit: std::num::NonZeroU32| Rate::new(limit.get().into());
        Self {
            auth_failures: rate(config.auth_failures_per_minute),
            rate_limited: config.rate_limited_per_minute.map(rate),
        }
    }

    /// Counts a record. Returns its event, if that is a condition.
    pub(super) fn add(&mut self, record: &LogLine) -> Option<Finding> {
        let times = record.repeated.unwrap_or(1);
        let is_login = record.event.as_deref() == Some(EventKind::LoginFailed.as_str());
        // The status of gRPC is in a field of its own.
        let has_status =
            |http: u16, grpc: u64| record.status == Some(http) || record.grpc_status == Some(grpc);
        if let Ok(at) = record.timestamp.parse::<jiff::Timestamp>() {
            let second = at.as_second();
            if is_login || has_status(401, 16) {
                self.auth_failures.add(second, times);
            }
            if let Some(rate) = &mut self.rate_limited
                && has_status(429, 8)
            {
                rate.add(second, times);
            }
        }
        event(record)
    }

    /// The rates that exceed their limits, or did since the last call.
    pub(super) fn states(&mut self, now: i64) -> Vec<Finding> {
        let mut states = Vec::new();
        let mut state = |condition, peak: Option<u64>, what| {
            states.extend(peak.map(|peak| Finding {
                condition,
                subject: String::new(),
                detail: format!("{peak} {what} within a minute"),
            }));
        };
        state(
            AlertCondition::AuthFailures,
            self.auth_failures.exceeded(now),
            "refused credentials or failed logins",
        );
        let limited = self.rate_limited.as_mut();
        state(
            AlertCondition::RateLimitViolations,
            limited.and_then(|rate| rate.exceeded(now)),
            "requests refused with 429",
        );
        states
    }
}

fn event(record: &LogLine) -> Option<Finding> {
    let name = record.event.as_deref()?;
    let (_, condition) = EVENTS.iter().find(|(kind, _)| kind.as_str() == name)?;
    let detail = record.detail.as_deref().unwrap_or_default();
    let is_twice = |change: &&str| detail.starts_with(*change);
    if name == EventKind::KeyChanged.as_str() && RECORDED_TWICE.iter().any(is_twice) {
        return None;
    }
    let who = record.user.as_ref().map(|user| format!(" by {user}"));
    let why = Some(detail).filter(|detail| !detail.is_empty());
    let why = why.map(|detail| format!(": {detail}"));
    let object = record.subject.as_ref().or(record.user.as_ref());
    let object = object.map_or("", String::as_str);
    let subject = match condition {
        // The kind of the event is the condition.
        AlertCondition::Bans | AlertCondition::KeyCreated => object.to_owned(),
        // A key that is rotated and then revoked has two messages.
        _ => format!("{object} ({name})"),
    };
    Some(Finding {
        condition: *condition,
        subject,
        detail: format!(
            "{}{}{}",
            record.message,
            who.unwrap_or_default(),
            why.unwrap_or_default()
        ),
    })
}

/// Counts events of the last minute.
struct Rate {
    limit: u64,
    /// The counts of seconds, oldest first; at most one for each second of the window.
    seconds: VecDeque<(i64, u64)>,
    total: u64,
    /// The highest total since it was last asked for, over the limit.
    peak: Option<u64>,
}

impl Rate {
    fn new(limit: u64) -> Self {
        Self {
            limit,
            seconds: VecDeque::new(),
            total: 0,
            peak: None,
        }
    }

    fn add(&mut self, second: i64, times: u64) {
        self.forget(second);
        match self.seconds.back_mut() {
            // Records of several threads may be slightly out of order.
            Some((last, count)) if *last >= second => *count = count.saturating_add(times),
            _ => self.seconds.push_back((second, times)),
        }
        self.total = self.total.saturating_add(times);
        if self.total > self.limit {
            self.peak = self.peak.max(Some(self.total));
        }
    }

    /// The highest total since the last call, if it is over the limit.
    fn exceeded(&mut self, now: i64) -> Option<u64> {
        let before = self.peak.take();
        self.forget(now);
        let present = Some(self.total).filter(|total| *total > self.limit);
        before.max(present)
    }

    fn forget(&mut self, now: i64) {
        while let Some((second, count)) = self.seconds.front()
            && *second <= now - WINDOW
        {
            self.total = self.total.saturating_sub(*count);
            self.seconds.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn record(second: u32, fields: Value) -> LogLine {
        let mut line = json!({
            "timestamp": format!("2026-01-31T12:00:{second:02}.000000Z"),
            "level": "warn",
            "message": "request refused",
            "seq": 1,
        });
        let line = line.as_object_mut().unwrap();
        line.extend(fields.as_object().unwrap().clone());
        parse(serde_json::to_string(line).unwrap().as_bytes()).unwrap()
    }

    /// The second of the records, since 1970.
    fn at(second: i64) -> i64 {
        let noon: jiff::Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        noon.as_second() + second
    }

    fn records(limit: u32) -> Records {
        let mut config = AlertsConfig::default();
        config.rate_limited_per_minute = limit.try_into().ok();
        Records::new(&config)
    }

    #[test]
    fn counts_refused_credentials_of_a_minute() {
        let mut records = records(0);
        for second in 0..10 {
            records.add(&record(second, json!({"status": 401})));
        }
        assert_eq!(records.states(at(10)), []);
        records.add(&record(11, json!({"event": "login_failed", "user": "a"})));
        let states = records.states(at(12));
        assert_eq!(states[0].condition, AlertCondition::AuthFailures);
        assert_eq!(
            states[0].detail,
            "11 refused credentials or failed logins within a minute"
        );
        assert_eq!(records.states(at(60)), [], "the first one is too old");
        records.add(&record(
            59,
            json!({"event": "repeated", "status": 401, "repeated": 5_000}),
        ));
        assert!(records.states(at(70))[0].detail.starts_with("5010 "));
    }

    #[test]
    fn notices_a_burst_that_is_over_when_its_records_are_read() {
        let mut records = records(5);
        for _ in 0..6 {
            records.add(&record(0, json!({"status": 429})));
        }
        records.add(&record(0, json!({"status": 200, "grpc_status": 16})));
        let states = records.states(at(3_600));
        assert_eq!(states.len(), 1);
        assert_eq!(states[0].condition, AlertCondition::RateLimitViolations);
        assert_eq!(records.states(at(3_601)), []);
    }

    #[test]
    fn counts_at_a_bounded_memory() {
        let mut rate = Rate::new(10);
        for second in 0..100_000 {
            rate.add(second, 1);
            rate.add(second - 1, 1);
        }
        assert!(rate.seconds.len() <= 60, "{}", rate.seconds.len());
        assert_eq!(rate.exceeded(100_000), Some(120));
    }

    #[test]
    fn finds_events_with_their_subject_and_user() {
        let mut records = records(0);
        let event = |fields| records.add(&record(0, fields));
        let found = [
            json!({"event": "banned", "message": "client banned", "subject": "192.0.2.1",
                "detail": "guesses keys"}),
            json!({"event": "key_revoked", "message": "key revoked", "subject": "team"}),
            json!({"event": "key_changed", "message": "key changed", "subject": "team",
                "user": "root", "detail": "scopes"}),
            json!({"event": "role_changed", "message": "role changed", "subject": "viewer",
                "user": "root"}),
            json!({"event": "user_created", "message": "user created", "user": "root"}),
        ]
        .map(event);
        let found = found.map(|found| {
            let found = found.unwrap();
            (found.condition, found.subject, found.detail)
        });
        let expected = [
            (
                AlertCondition::Bans,
                "192.0.2.1",
                "client banned: guesses keys",
            ),
            (
                AlertCondition::KeyChanged,
                "team (key_revoked)",
                "key revoked",
            ),
            (
                AlertCondition::KeyChanged,
                "team (key_changed)",
                "key changed by root: scopes",
            ),
            (
                AlertCondition::PermissionsChanged,
                "viewer (role_changed)",
                "role changed by root",
            ),
            (
                AlertCondition::PermissionsChanged,
                "root (user_created)",
                "user created by root",
            ),
        ];
        let expected = expected
            .map(|(condition, subject, detail)| (condition, subject.to_owned(), detail.to_owned()));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_change_of_a_key_in_the_administration_is_one_alert() {
        let mut records = records(0);
        for (detail, expected) in [
            ("created", false),
            ("rotated; the old secret ends at once", false),
            ("revoked: found in a repository", false),
            ("note, scopes", true),
        ] {
            let fields = json!({"event": "key_changed", "subject": "a", "detail": detail});
            let found = records.add(&record(0, fields));
            assert_eq!(found.is_some(), expected, "{detail}");
        }
        let other = json!({"event": "started"});
        assert_eq!(records.add(&record(0, other)), None);
    }

    #[test]
    fn does_not_parse_requests_that_succeeded() {
        let line = br#"{"timestamp":"2026-01-31T12:00:00.000000Z","level":"info","message":"request completed","seq":1}"#;
        assert_eq!(parse(line), None);
        let warned = String::from_utf8(line.to_vec())
            .unwrap()
            .replace("info", "warn");
        assert!(parse(warned.as_bytes()).is_some());
        assert_eq!(parse(b"no record"), None);
    }
}
