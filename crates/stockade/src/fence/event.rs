//! What happens besides requests.

use std::{
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use stockade_abuse::AbuseEvent;
use stockade_key_auth::{KeyEvent, KeyId};
use tracing::error;

/// Something happened that whoever runs the fence wants to know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FenceEvent {
    /// Somebody was banned, a deny-list was read, or could not be.
    Abuse(AbuseEvent),
    /// A key was created, rotated or revoked since the keys were last read, whoever did it.
    ///
    /// The keys that are read at the start are no news, and neither is a key that expires.
    /// Of keys that change at the same time a hundred are told one by one.
    Key {
        /// The key, which is also the id of its principal.
        id: KeyId,
        /// What became of it.
        news: KeyEvent,
    },
    /// The same became of so many more keys than the hundred that were told before this.
    MoreKeys {
        /// What became of them.
        news: KeyEvent,
        /// How many they are.
        count: usize,
    },
    /// Another configuration was taken over.
    Reloaded,
    /// The store of limits is lost (`false`), or back (`true`). While it is lost, the
    /// failure policy decides.
    LimitStore {
        /// Whether it is there.
        up: bool,
    },
}

/// Who hears of it.
#[derive(Clone, Default)]
pub(super) struct Listeners(Vec<Arc<Listener>>);

type Listener = dyn Fn(&FenceEvent) + Send + Sync;

impl Listeners {
    pub(super) fn add(&mut self, listener: impl Fn(&FenceEvent) + Send + Sync + 'static) {
        self.0.push(Arc::new(listener));
    }

    /// The log's own, which hears of everything first.
    pub(super) fn put_first(&mut self, listener: impl Fn(&FenceEvent) + Send + Sync + 'static) {
        self.0.insert(0, Arc::new(listener));
    }

    /// Tells all of them. One that panics keeps no other from hearing of it, and whoever
    /// tells, which may be the thread that follows a file, from going on.
    pub(super) fn tell(&self, event: &FenceEvent) {
        for listener in &self.0 {
            if panic::catch_unwind(AssertUnwindSafe(|| listener(event))).is_err() {
                error!("a listener of the fence's events has panicked");
            }
        }
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} listeners", self.0.len())
    }
}
