//! Telling what becomes of keys, whoever changes them.

use std::{collections::BTreeMap, sync::Arc};

use stockade_core::clock::{Clock, SystemClock};
use stockade_key_auth::{KeyEvent, KeyId, KeySet, LiveKeys};

use super::{FenceEvent, event::Listeners};

/// How many keys of one change are told one by one: a file that is replaced by another may
/// have a million keys, and nobody reads a million events.
const ONE_BY_ONE: usize = 100;

/// Tells what becomes of keys from now on, compared with those that were read first.
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
