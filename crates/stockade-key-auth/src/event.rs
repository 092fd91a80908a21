//! Differences between two key sets.

use std::collections::{HashMap, HashSet};

use stockade_core::clock::Timestamp;

use crate::{KeyId, KeySet, set::Key};

/// A change of a key between two sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyEvent {
    /// The key is new and valid.
    Created,
    /// The key was revoked or expired, and is valid again.
    Restored,
    /// The key has another secret.
    Rotated,
    /// The key was revoked.
    Revoked,
    /// The expiry was set to a time in the past. Expiry by the passage of time is not an event.
    Expired,
    /// The record was removed.
    Removed,
}

impl KeySet {
    /// Compares this set with an older one and yields the changed keys.
    ///
    /// Only validity and secrets are compared: changed scopes or limits are not events, and
    /// neither is a key that is invalid in both sets. A key that became invalid yields that
    /// event only.
    pub fn events_since<'s>(
        &'s self,
        older: &'s Self,
        now: Timestamp,
    ) -> impl Iterator<Item = (&'s KeyId, KeyEvent)> {
        let before: HashMap<_, _> = older.keys().map(|key| (&key.id, key)).collect();
        let there: HashSet<_> = self.keys().map(|key| &key.id).collect();
        let kept = self.keys().filter_map(move |key| {
            let event = event(before.get(&key.id).copied(), key, now)?;
            Some((&key.id, event))
        });
        let removed = older
            .keys()
            .filter(move |key| !there.contains(&key.id) && key.is_active(now))
            .map(|key| (&key.id, KeyEvent::Removed));
        kept.chain(removed)
    }
}

fn event(before: Option<&Key>, key: &Key, now: Timestamp) -> Option<KeyEvent> {
    let was_active = before.is_some_and(|before| before.is_active(now));
    match (before, was_active, key.is_active(now)) {
        (None, _, true) => Some(KeyEvent::Created),
        (Some(_), false, true) => Some(KeyEvent::Restored),
        (Some(_), true, false) if key.revoked => Some(KeyEvent::Revoked),
        (Some(_), true, false) => Some(KeyEvent::Expired),
        (Some(before), true, true) if before.hash != key.hash => Some(KeyEvent::Rotated),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{KeyChange, KeyDigest, KeyRecord};

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn record(id: &str) -> KeyRecord {
        KeyRecord::new(id.parse().unwrap(), KeyDigest::of(id.as_bytes()))
    }

    fn change(change: KeyChange) -> KeyRecord {
        change.apply(record("a")).unwrap()
    }

    fn set(records: impl IntoIterator<Item = KeyRecord>) -> KeySet {
        KeySet::new(records).unwrap()
    }

    fn between(older: Option<KeyRecord>, newer: Option<KeyRecord>) -> Vec<KeyEvent> {
        let (older, newer) = (set(older), set(newer));
        let events = newer.events_since(&older, NOW);
        events
            .map(|(id, event)| {
                assert_eq!(id.as_str(), "a");
                event
            })
            .collect()
    }

    #[test]
    fn reports_changes_of_validity_and_secret() {
        let revoked = change(KeyChange::Revoke { at: NOW });
        let rotated = change(KeyChange::Rotate {
            hash: KeyDigest::of(b"new").into(),
            grace: Duration::from_secs(60),
            at: NOW,
        });
        let expires = |secs| Some(record("a").expires(Timestamp::from_secs(secs)));
        let good = || Some(record("a"));
        for (older, newer, expected) in [
            (None, good(), Some(KeyEvent::Created)),
            (good(), None, Some(KeyEvent::Removed)),
            (good(), Some(revoked.clone()), Some(KeyEvent::Revoked)),
            (good(), Some(rotated.clone()), Some(KeyEvent::Rotated)),
            (good(), expires(1_000), Some(KeyEvent::Expired)),
            (Some(revoked.clone()), good(), Some(KeyEvent::Restored)),
            (expires(1_000), good(), Some(KeyEvent::Restored)),
            (
                Some(rotated.clone()),
                Some(revoked.clone()),
                Some(KeyEvent::Revoked),
            ),
            // Validity does not change.
            (good(), good(), None),
            (good(), expires(1_001), None),
            (good(), good().map(|key| key.owner("other")), None),
            (None, Some(revoked.clone()), None),
            (None, expires(1_000), None),
            (Some(revoked.clone()), None, None),
            (expires(1_000), None, None),
            (expires(1_000), expires(1_000), None),
            (expires(1_000), Some(revoked), None),
            (Some(rotated.clone()), Some(rotated), None),
        ] {
            let context = format!("from {older:?} to {newer:?}");
            let expected: Vec<_> = expected.into_iter().collect();
            assert_eq!(between(older, newer), expected, "{context}");
        }
    }

    #[test]
    fn reports_each_key_once() {
        let older = set(["a", "b", "c"].map(record));
        let newer = set(["b", "c", "d", "e"].map(record));
        let events: Vec<_> = newer
            .events_since(&older, NOW)
            .map(|(id, event)| (id.as_str(), event))
            .collect();
        assert_eq!(
            events,
            [
                ("d", KeyEvent::Created),
                ("e", KeyEvent::Created),
                ("a", KeyEvent::Removed)
            ]
        );
    }
}
