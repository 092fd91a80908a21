//! Events about keys that any process creates, rotates or revokes.

use std::{collections::BTreeMap, sync::Arc};

use stockade_core::clock::{Clock, SystemClock};
use stockade_key_auth::{KeyEvent, KeyId, KeySet, LiveKeys};

use super::{FenceEvent, event::Listeners};

/// The maximum number of events for the keys of one change: a replaced file may have a million
/// keys, which are too many to report one by one.
const MAX_SINGLE_EVENTS: usize = 100;

/// Reports changes of keys from now on, compared with those that were read first.
pub(super) fn follow(keys: &LiveKeys, first: Arc<KeySet>, listeners: Listeners) {
    let clock = SystemClock::new();
    let mut reported = first;
    keys.on_publish(move |set| {
        report(&listeners, set.events_since(&reported, clock.now()));
        reported = Arc::clone(set);
    });
}

fn report<'n>(listeners: &Listeners, changes: impl Iterator<Item = (&'n KeyId, KeyEvent)>) {
    let mut more = BTreeMap::new();
    for (number, (id, change)) in changes.enumerate() {
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
