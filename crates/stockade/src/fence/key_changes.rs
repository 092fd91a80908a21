//! Events about keys that any process creates, rotates or revokes.

use std::{collections::BTreeMap, sync::Arc};

use stockade_core::clock::{Clock, SystemClock};
use stockade_key_auth::{KeyEvent, KeyId, KeySet, LiveKeys};

use super::{FenceEvent, event::Listeners};

/// The maximum number of events for the keys of one change: a replaced file may have a million
/// keys, which are too many to report one by one.
const MAX_SINGLE_EVENTS: usize = 100;

const CHANGES: &str = "stockade_key_changes_total";

/// The values of the label `change`.
const LABELS: [(KeyEvent, &str); 6] = [
    (KeyEvent::Created, "created"),
    (KeyEvent::Restored, "restored"),
    (KeyEvent::Rotated, "rotated"),
    (KeyEvent::Revoked, "revoked"),
    (KeyEvent::Expired, "expired"),
    (KeyEvent::Removed, "removed"),
];

/// Reports changes of keys from now on, compared with those that were read first.
pub(super) fn follow(keys: &LiveKeys, first: Arc<KeySet>, listeners: Listeners) {
    // Registers all counters, so that the first change shows as an increase.
    for (change, _) in LABELS {
        count(change, 0);
    }
    let clock = SystemClock::new();
    let mut reported = first;
    keys.on_publish(move |set| {
        report(&listeners, set.events_since(&reported, clock.now()));
        reported = Arc::clone(set);
    });
}

fn count(change: KeyEvent, number: u64) {
    let label = LABELS.iter().find(|(event, _)| *event == change);
    let (_, label) = label.expect("the table has every event");
    metrics::counter!(CHANGES, "change" => *label).increment(number);
}

fn report<'n>(listeners: &Listeners, changes: impl Iterator<Item = (&'n KeyId, KeyEvent)>) {
    let mut more = BTreeMap::new();
    for (number, (id, change)) in changes.enumerate() {
        count(change, 1);
        if number < MAX_SINGLE_EVENTS {
            let id = id.clone();
            listeners.notify(&FenceEvent::KeyChanged { id, change });
        } else {
            *more.entry(change).or_default() += 1;
        }
    }
    for (change, count) in more {
        listeners.notify(&FenceEvent::MoreKeysChanged { change, count });
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn counts_every_change_also_those_that_are_reported_together() {
        let id: KeyId = "team".parse().unwrap();
        let created = std::iter::repeat_n((&id, KeyEvent::Created), MAX_SINGLE_EVENTS + 1);
        let others = LABELS.map(|(change, _)| (&id, change));
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            report(&Listeners::default(), created.chain(others));
        });
        let text = recorder.handle().render();
        let total = MAX_SINGLE_EVENTS + 2;
        assert!(
            text.contains(&format!("{CHANGES}{{change=\"created\"}} {total}\n")),
            "{text}"
        );
        for (_, label) in &LABELS[1..] {
            assert!(
                text.contains(&format!("{CHANGES}{{change=\"{label}\"}} 1\n")),
                "{text}"
            );
        }
    }
}
