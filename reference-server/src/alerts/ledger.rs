//! What is reported and what is only counted: pure, with the time as an argument.

use serde::{Deserialize, Serialize};
use stockade_server_config::AlertCondition;

use super::{Alert, Status, count};

/// The maximum number of subjects of a condition that are reported one by one; an attack from
/// many addresses must not become as many messages.
const MAX_SUBJECTS: usize = 20;
/// The subject of all others.
const OTHERS: &str = "others";

/// Something that a condition has found: an event, or a state that is still so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) condition: AlertCondition,
    pub(super) subject: String,
    pub(super) detail: String,
}

/// What was reported, by condition and subject.
#[derive(Debug)]
pub(super) struct Ledger {
    entries: Vec<Entry>,
    repeat_every: u64,
}

/// A condition of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    condition: AlertCondition,
    subject: String,
    detail: String,
    /// When it was last reported, in seconds since 1970.
    sent_at: Option<u64>,
    /// How often it was not reported since.
    suppressed: u64,
    /// A state, which ends, in contrast to an event.
    is_state: bool,
    /// Since when the state lasts; `None` after its end.
    since: Option<u64>,
    /// The state has lasted for as long as the condition requires.
    active: bool,
    /// The state was reported, so that its end must be, too.
    announced: bool,
    /// The state was found at the last look.
    #[serde(skip)]
    found: bool,
}

impl Ledger {
    pub(super) fn new(entries: Vec<Entry>, repeat_every: u64) -> Self {
        Self {
            entries,
            repeat_every,
        }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Reports an event, or counts it.
    pub(super) fn occurred(&mut self, finding: Finding, now: u64) -> Option<Alert> {
        let repeat_every = self.repeat_every;
        self.entry(finding).fire(now, repeat_every)
    }

    /// Reports states that have begun, are due again, or have ended, and events of which some
    /// were only counted. `states` are all of the present.
    pub(super) fn observe(&mut self, states: Vec<Finding>, now: u64) -> Vec<Alert> {
        for entry in &mut self.entries {
            entry.found = false;
        }
        for state in states {
            let entry = self.entry(state);
            entry.found = true;
            entry.is_state = true;
            entry.since.get_or_insert(now);
        }
        let repeat_every = self.repeat_every;
        let alerts = self.entries.iter_mut();
        let alerts = alerts.filter_map(|entry| entry.observe(now, repeat_every));
        let alerts = alerts.collect();
        self.entries
            .retain(|entry| entry.since.is_some() || !entry.is_due(now, repeat_every));
        alerts
    }

    /// The entry of a finding, with its detail. There are at most [`MAX_SUBJECTS`] and one of a
    /// condition.
    fn entry(&mut self, finding: Finding) -> &mut Entry {
        let Finding {
            condition,
            mut subject,
            detail,
        } = finding;
        let of_condition = || {
            self.entries
                .iter()
                .filter(|entry| entry.condition == condition)
        };
        let is_known = of_condition().any(|entry| entry.subject == subject);
        if !is_known && of_condition().count() >= MAX_SUBJECTS {
            OTHERS.clone_into(&mut subject);
        }
        let known = self
            .entries
            .iter()
            .position(|entry| entry.condition == condition && entry.subject == subject);
        let at = known.unwrap_or_else(|| {
            self.entries.push(Entry {
                condition,
                subject,
                detail: String::new(),
                sent_at: None,
                suppressed: 0,
                is_state: false,
                since: None,
                active: false,
                announced: false,
                found: false,
            });
            self.entries.len() - 1
        });
        let entry = &mut self.entries[at];
        entry.detail = detail;
        entry
    }
}

impl Entry {
    fn is_due(&self, now: u64, repeat_every: u64) -> bool {
        self.sent_at
            .is_none_or(|sent_at| now.saturating_sub(sent_at) >= repeat_every)
    }

    fn fire(&mut self, now: u64, repeat_every: u64) -> Option<Alert> {
        if self.is_due(now, repeat_every) {
            return Some(self.send(now));
        }
        self.suppressed += 1;
        count(self.condition, "suppressed");
        None
    }

    fn send(&mut self, now: u64) -> Alert {
        self.sent_at = Some(now);
        self.announced = self.active;
        self.alert(Status::Firing)
    }

    fn alert(&mut self, status: Status) -> Alert {
        Alert {
            condition: self.condition,
            status,
            subject: self.subject.clone(),
            detail: self.detail.clone(),
            suppressed: std::mem::take(&mut self.suppressed),
        }
    }

    fn observe(&mut self, now: u64, repeat_every: u64) -> Option<Alert> {
        let is_due = self.is_due(now, repeat_every);
        if !self.found {
            self.since = None;
            let was_announced = std::mem::take(&mut self.announced);
            if std::mem::take(&mut self.active) && was_announced {
                return Some(self.alert(Status::Resolved));
            }
            // The last report of an event has the number of its repetitions.
            let is_owed = !self.is_state && self.suppressed > 0;
            return (is_owed && is_due).then(|| self.send(now));
        }
        let lasts = self.since.map_or(0, |since| now.saturating_sub(since));
        if lasts < self.condition.hold_secs() {
            return None;
        }
        if !std::mem::replace(&mut self.active, true) {
            return self.fire(now, repeat_every);
        }
        is_due.then(|| self.send(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600;

    fn ledger() -> Ledger {
        Ledger::new(Vec::new(), HOUR)
    }

    fn finding(condition: AlertCondition, subject: &str) -> Finding {
        Finding {
            condition,
            subject: subject.to_owned(),
            detail: "why".to_owned(),
        }
    }

    fn ban(subject: &str) -> Finding {
        finding(AlertCondition::Bans, subject)
    }

    fn shown(alerts: &[Alert]) -> Vec<(Status, &str, u64)> {
        let shown = alerts.iter();
        shown
            .map(|alert| (alert.status, alert.subject.as_str(), alert.suppressed))
            .collect()
    }

    #[test]
    fn reports_an_event_once_and_then_how_often_it_has_occurred() {
        let mut ledger = ledger();
        let first = ledger.occurred(ban("a"), 0).unwrap();
        assert_eq!((first.subject.as_str(), first.suppressed), ("a", 0));
        for at in 1..=5 {
            assert_eq!(ledger.occurred(ban("a"), at), None);
        }
        assert!(ledger.occurred(ban("b"), 6).is_some(), "another subject");
        assert_eq!(ledger.observe(Vec::new(), HOUR - 1), []);
        let alerts = ledger.observe(Vec::new(), HOUR);
        assert_eq!(shown(&alerts), [(Status::Firing, "a", 5)]);
        assert_eq!(ledger.observe(Vec::new(), 2 * HOUR), []);
        assert_eq!(ledger.entries().len(), 0, "it is forgotten");
        assert!(ledger.occurred(ban("a"), 2 * HOUR).is_some());
    }

    #[test]
    fn reports_a_state_that_lasts_its_repetition_and_its_end() {
        let mut ledger = ledger();
        let down = || vec![finding(AlertCondition::StoreDown, "limits")];
        assert_eq!(ledger.observe(down(), 0), []);
        assert_eq!(ledger.observe(Vec::new(), 10), [], "it was short");
        assert_eq!(ledger.observe(down(), 20), []);
        assert_eq!(ledger.observe(down(), 49), []);
        let firing = [(Status::Firing, "limits", 0)];
        assert_eq!(shown(&ledger.observe(down(), 50)), firing);
        assert_eq!(ledger.observe(down(), 51), []);
        assert_eq!(shown(&ledger.observe(down(), 50 + HOUR)), firing);
        let ended = ledger.observe(Vec::new(), 51 + HOUR);
        assert_eq!(shown(&ended), [(Status::Resolved, "limits", 0)]);
        assert_eq!(ledger.observe(Vec::new(), 52 + HOUR), []);
    }

    #[test]
    fn a_state_that_comes_and_goes_is_counted_and_resolved_once() {
        let mut ledger = ledger();
        let failing = || vec![finding(AlertCondition::AuditNotWriting, "")];
        assert_eq!(ledger.observe(failing(), 0).len(), 1);
        assert_eq!(ledger.observe(Vec::new(), 1)[0].status, Status::Resolved);
        for at in 1..=3 {
            assert_eq!(ledger.observe(failing(), at * 10), []);
            assert_eq!(ledger.observe(Vec::new(), at * 10 + 1), [], "not announced");
        }
        assert_eq!(ledger.observe(failing(), 100), []);
        let alerts = ledger.observe(failing(), HOUR);
        assert_eq!(shown(&alerts), [(Status::Firing, "", 4)]);
        assert_eq!(
            ledger.observe(Vec::new(), HOUR + 1)[0].status,
            Status::Resolved
        );
    }

    #[test]
    fn many_subjects_are_few_messages() {
        let mut ledger = ledger();
        let bans = (0..1_000).filter_map(|n| ledger.occurred(ban(&n.to_string()), n));
        assert_eq!(bans.count(), MAX_SUBJECTS + 1);
        assert_eq!(ledger.entries().len(), MAX_SUBJECTS + 1);
        let later = ledger.observe(Vec::new(), 2 * HOUR);
        let others = 1_000 - MAX_SUBJECTS as u64 - 1;
        assert_eq!(shown(&later), [(Status::Firing, OTHERS, others)]);
        let other = ledger.occurred(finding(AlertCondition::KeyCreated, "a"), 0);
        assert!(other.is_some(), "conditions do not share the maximum");
    }

    #[test]
    fn continues_after_a_restart() {
        let mut ledger = ledger();
        ledger.occurred(ban("a"), 0);
        ledger.observe(vec![finding(AlertCondition::AuditNotWriting, "")], 0);
        let saved = serde_json::to_string(ledger.entries()).unwrap();
        let mut restarted = Ledger::new(serde_json::from_str(&saved).unwrap(), HOUR);
        assert_eq!(restarted.occurred(ban("a"), 1), None);
        let ended = restarted.observe(Vec::new(), 1);
        assert_eq!(shown(&ended), [(Status::Resolved, "", 0)]);
    }
}
