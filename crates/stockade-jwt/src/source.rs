//! Sources of verifying keys.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use arc_swap::{ArcSwap, Guard};
use stockade_core::clock::Timestamp;

use crate::KeySet;

/// A source of keys. Publishes the current [`KeySet`], and a new one on every change.
///
/// Requests read the published set. Sources that fetch keys implement the provided methods, which
/// notify them of requests.
pub trait KeySource: Send + Sync + 'static {
    /// Returns the published keys.
    fn keys(&self) -> LiveKeys;

    /// Called before a request uses the keys, for example to start a background refresh. Must not
    /// block.
    fn on_use(&self, now: Timestamp) {
        let _ = now;
    }

    /// Called for a token with an unknown key id. Returns whether a newer set may be available.
    ///
    /// Attackers can trigger this at will, so sources should return [`KeyRefresh::UpToDate`] to
    /// nearly all calls.
    fn on_unknown_key(&self, now: Timestamp) -> KeyRefresh {
        let _ = now;
        KeyRefresh::UpToDate
    }
}

/// The response of a [`KeySource`] to an unknown key id.
#[non_exhaustive]
pub enum KeyRefresh {
    /// No newer set is available.
    UpToDate,
    /// A fetch is in flight; verify the token again when the future resolves.
    Pending(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// No set is available, or the source is overloaded. The client may retry after this time.
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

/// A handle to the current [`KeySet`], shared by a source and its readers.
///
/// ```
/// use stockade_jwt::{Algorithm, KeySet, LiveKeys, Secret, VerifyingKey};
///
/// let key = |secret: &[u8]| VerifyingKey::hmac(Algorithm::Hs256, &Secret::new(secret)?);
/// let keys = LiveKeys::new(KeySet::new([key(b"thirty-two random bytes or more!")?]));
/// // During a rotation both keys are valid. Layers with a clone of `keys` use the new set.
/// keys.publish(KeySet::new([
///     key(b"thirty-two random bytes or more!")?,
///     key(b"other random bytes, 32 or more!!")?,
/// ]));
/// assert_eq!(keys.current().len(), 2);
/// # Ok::<(), stockade_jwt::KeyError>(())
/// ```
#[derive(Clone)]
pub struct LiveKeys(Arc<ArcSwap<KeySet>>);

impl LiveKeys {
    /// Creates a handle with an initial set.
    pub fn new(set: KeySet) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(set)))
    }

    /// Replaces the set, for all requests that begin after this call. Cached tokens of the old set
    /// are verified again.
    pub fn publish(&self, set: KeySet) {
        self.0.store(Arc::new(set));
    }

    /// Returns the current set.
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
