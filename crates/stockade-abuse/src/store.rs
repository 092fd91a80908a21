//! Stores for bans.

use crate::{BanChange, BanUpdate};

/// Stores bans outside of the process: in a file, or in a server shared by replicas.
///
/// Requests are checked against the table of the [`Detector`](crate::Detector), so a slow or
/// unavailable store does not delay them.
///
/// The bans in [`BanUpdate::All`] replace those of the detector, so a store must include
/// published bans that it could not write yet: a full disk must not lift a ban.
pub trait BanStore: Send + Sync + 'static {
    /// Publishes a change without waiting. A store that cannot keep up reports that itself,
    /// for example in its health.
    fn publish(&self, change: &BanChange);

    /// Calls the listener with the complete contents, then with each change, until the store
    /// is dropped. Called once per store; the listener is called on any thread.
    fn subscribe(&self, listener: BanListener);
}

/// Receives the updates of a store.
pub type BanListener = Box<dyn Fn(BanUpdate) + Send + Sync>;
