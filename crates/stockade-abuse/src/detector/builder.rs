//! From a policy to a detector.

use std::{
    fmt,
    hash::RandomState,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64},
    },
};

use arc_swap::ArcSwap;
use stockade_core::clock::{Clock, SystemClock};

use super::{Detector, Inner, ReportOnly};
use crate::{AbuseEvent, AbuseListener, AbusePolicy, BanStore, bans::Bans, table::Table};

/// Builds a [`Detector`]; made by [`Detector::builder`].
pub struct DetectorBuilder {
    policy: AbusePolicy,
    clock: Arc<dyn Clock>,
    max_tracked: usize,
    max_bans: usize,
    stores: Vec<Arc<dyn BanStore>>,
    listeners: Vec<AbuseListener>,
}

impl DetectorBuilder {
    pub(super) fn new(policy: AbusePolicy) -> Self {
        Self {
            policy,
            clock: Arc::new(SystemClock::new()),
            max_tracked: 100_000,
            max_bans: 100_000,
            stores: Vec::new(),
            listeners: Vec::new(),
        }
    }

    /// The clock that offences and bans go by.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How many offenders are remembered at most; 100,000 by default, of some 200 bytes
    /// each. Where there are more, the least of them are forgotten.
    pub fn max_tracked(mut self, offenders: usize) -> Self {
        self.max_tracked = offenders;
        self
    }

    /// How many bans there are at most; 100,000 by default, of some 200 bytes each. Where
    /// there are more, those that end first end early.
    pub fn max_bans(mut self, bans: usize) -> Self {
        self.max_bans = bans;
        self
    }

    /// Keeps bans in this store, too, and takes over what others put there. There may be
    /// several: a file and Redis.
    pub fn store(mut self, store: Arc<dyn BanStore>) -> Self {
        self.stores.push(store);
        self
    }

    /// Tells this listener of all events.
    pub fn on_event(mut self, listener: impl Fn(&AbuseEvent) + Send + Sync + 'static) -> Self {
        self.listeners.push(Arc::new(listener));
        self
    }

    /// The detector, which now listens to its stores.
    pub fn build(self) -> Detector {
        let detector = Detector(Arc::new(Inner {
            policy: ArcSwap::from_pointee(self.policy),
            clock: self.clock,
            offenders: Table::new(self.max_tracked),
            bans: Bans::new(self.max_bans),
            stores: self.stores,
            listeners: self.listeners,
            denied: AtomicU64::new(0),
            skipped: Mutex::default(),
            failing: Mutex::default(),
            report_only: ReportOnly::new(self.max_bans),
            banned_once: AtomicBool::new(false),
            jitter: RandomState::new(),
        }));
        for (at, store) in detector.0.stores.iter().enumerate() {
            let detector = Arc::downgrade(&detector.0);
            store.subscribe(Box::new(move |update| {
                if let Some(inner) = detector.upgrade() {
                    Detector(inner).apply_update(at, update);
                }
            }));
        }
        detector
    }
}

impl fmt::Debug for DetectorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DetectorBuilder")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
