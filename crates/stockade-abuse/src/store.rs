//! Where bans are kept, and from where other processes hear of them.

use crate::{BanChange, BanUpdate};

/// Keeps bans outside of the process: in a file, or where other replicas see them.
///
/// Requests are judged by the [`Detector`](crate::Detector)'s own table, so a store that is
/// slow or down costs no request anything.
///
/// What a store has to say in [`BanUpdate::All`] replaces what the detector knew, so it
/// also has what was published to the store and could not be written yet: nobody is let
/// in because a disk is full.
pub trait BanStore: Send + Sync + 'static {
    /// Makes a change known. Never waits: what takes time happens elsewhere, and where
    /// changes come faster than they can be written, the store says so in its own way.
    fn publish(&self, change: &BanChange);

    /// Calls this for whatever becomes known, beginning with all that is there, until the
    /// store is dropped. Called once for a store, on any thread.
    fn subscribe(&self, listener: BanListener);
}

/// Hears of bans that a store knows.
pub type BanListener = Box<dyn Fn(BanUpdate) + Send + Sync>;
