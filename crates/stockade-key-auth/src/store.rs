//! Where keys come from.

use std::{fmt, sync::Arc};

use arc_swap::{ArcSwap, Guard};

use crate::KeySet;

/// A source of keys: it publishes the set in force, and a new one on every change.
///
/// Requests never ask a store; they read the published set. So a store that is slow or
/// down changes nothing for the keys that are known, and a change is in force for the
/// first request that begins after it was published.
pub trait KeyStore: Send + Sync + 'static {
    /// The keys that this store publishes.
    fn keys(&self) -> LiveKeys;
}

/// The set of keys in force, shared by a store and its readers.
#[derive(Clone, Default)]
pub struct LiveKeys(Arc<ArcSwap<KeySet>>);

impl LiveKeys {
    /// Keys that start as this set.
    pub fn new(set: KeySet) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(set)))
    }

    /// Puts another set in force, for all requests that begin from now on.
    pub fn publish(&self, set: KeySet) {
        set.inherit(&self.0.load());
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

impl fmt::Debug for LiveKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LiveKeys").field(&*self.load()).finish()
    }
}
