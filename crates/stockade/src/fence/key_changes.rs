//! Events about keys that any process creates, rotates or revokes.

use std::{collections::BTreeMap, sync::Arc};

use stockade_core::clock::{Clock, SystemClock};
use stockade_key_auth::{KeyEvent, KeyId, KeySet, LiveKeys};

use super::{FenceEvent, event::Listeners};

/// The maximum number of events for the keys of one change: a replaced file may have a million
/// keys, which are too many to report one by one.
const ONE_BY_ONE: usize = 100;

/// Reports changes of keys from now on, compared with those that were read first.
pub(super) fn follow(keys: &LiveKeys, first: Arc<KeySet>, listeners: Listeners) {
    let clock = SystemClock::new();
    let mut told = first;
    keys.on_publish(move |set| {
        tell(&listeners, set.events_since(&told, clock.now()));
        told = Arc::clone(set);
    });
}

fn tell<'n>(listeners: &Listeners, news: impl Iterator<Item = (&'n KeyId, KeyEvent)>) {
    let mut more = BTreeMap::new();
    for (number, (id, news)) in news.enumerate() {
        if number < ONE_BY_ONE {
            let id = id.clone();
            listeners.tell(&FenceEvent::Key { id, news });
        } else {
            *more.entry(news).or_default() += 1;
        }
    }
    for (news, count) in more {
        listeners.tell(&FenceEvent::MoreKeys { news, count });
    }
}
