//! Where keys come from.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use arc_swap::{ArcSwap, Guard};
use stockade_core::clock::Timestamp;

use crate::KeySet;

/// A source of keys: it publishes the set in force, and a new one on every change.
///
/// Requests read the published set. A source that fetches its keys from somewhere hears of
/// requests by the two methods that others leave as they are.
pub trait KeySource: Send + Sync + 'static {
    /// The keys that this source publishes.
    fn keys(&self) -> LiveKeys;

    /// A request is about to use the keys. A source whose set has grown old fetches a
    /// newer one meanwhile; it must not block.
    fn on_use(&self, now: Timestamp) {
        let _ = now;
    }

    /// A token names a key that is not in the set. Says whether a newer set is to be had.
    ///
    /// Attackers can bring this about as often as they like, so a source answers
    /// [`KeyRefresh::UpToDate`] to nearly all of them.
    fn on_unknown_key(&self, now: Timestamp) -> KeyRefresh {
        let _ = now;
        KeyRefresh::UpToDate
    }
}

/// What a [`KeySource`] does about a key that is not in its set.
pub enum KeyRefresh {
    /// Nothing: the set is all there is.
    UpToDate,
    /// It is fetching; judge the token once more after that.
    Pending(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// It cannot tell: it never had a set, or is too busy. The client may try again after
    /// this time.
    Unavailable(Duration),
}

impl fmt::Debug for KeyRefresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UpToDate => "UpToDate",
            Self::Pending(_) => "Pending(…)",
            Self::Unavailable(_) => "Unavailable(…)",
        })
    }
}

/// The set of keys in force, shared by a source and its readers.
#[derive(Clone)]
pub struct LiveKeys(Arc<ArcSwap<KeySet>>);

impl LiveKeys {
    /// Keys that start as this set.
    pub fn new(set: KeySet) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(set)))
    }

    /// Puts another set in force, for all requests that begin from now on. Tokens that the
    /// old set verified are verified anew.
    pub fn publish(&self, set: KeySet) {
        self.0.store(Arc::new(set));
    }

    /// The set in force.
    pub fn current(&self) -> Arc<KeySet> {
        self.0.load_full()
    }

    pub(crate) fn load(&self) -> Guard<Arc<KeySet>> {
        self.0.load()
    }
}

impl From<KeySet> for LiveKeys {
    fn from(set: KeySet) -> Self {
        Self::new(set)
    }
}

impl KeySource for LiveKeys {
    fn keys(&self) -> LiveKeys {
        self.clone()
    }
}

impl fmt::Debug for LiveKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LiveKeys").field(&*self.load()).finish()
    }
}
