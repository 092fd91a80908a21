//! Events that are not requests.

use std::{
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use stockade_abuse::AbuseEvent;
use stockade_key_auth::{KeyEvent, KeyId};
use tracing::error;

/// An event for the operator of a fence.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FenceEvent {
    /// A client was banned, or a deny-list was read or could not be read.
    Abuse(AbuseEvent),
    /// A key was created, rotated or revoked, by any process, since the keys were last read.
    ///
    /// Keys that are read at startup and keys that expire cause no event. A change of more than
    /// a hundred keys is reported with a hundred of these events and [`Self::MoreKeysChanged`].
    KeyChanged {
        /// The id of the key and of its principal.
        id: KeyId,
        /// The change.
        change: KeyEvent,
    },
    /// More keys than the hundred that were reported one by one changed in the same way.
    MoreKeysChanged {
        /// The change.
        change: KeyEvent,
        /// The number of keys.
        count: usize,
    },
    /// A reload applied another configuration.
    Reloaded,
    /// The limit store became unavailable (`false`) or available (`true`). While it is
    /// unavailable, the failure policy decides.
    LimitStore {
        /// Whether the store is available.
        up: bool,
    },
}

/// The listeners of events.
#[derive(Clone, Default)]
pub(super) struct Listeners(Vec<Arc<Listener>>);

type Listener = dyn Fn(&FenceEvent) + Send + Sync;

impl Listeners {
    pub(super) fn add(&mut self, listener: impl Fn(&FenceEvent) + Send + Sync + 'static) {
        self.0.push(Arc::new(listener));
    }

    /// Adds the listener of the audit log, which is notified first.
    pub(super) fn add_first(&mut self, listener: impl Fn(&FenceEvent) + Send + Sync + 'static) {
        self.0.insert(0, Arc::new(listener));
    }

    /// Notifies all listeners. A panic of one does not affect the others or the caller, which
    /// may be the thread that watches a file.
    pub(super) fn notify(&self, event: &FenceEvent) {
        for listener in &self.0 {
            if panic::catch_unwind(AssertUnwindSafe(|| listener(event))).is_err() {
                error!("an event listener of the fence panicked");
            }
        }
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} listeners", self.0.len())
    }
}
