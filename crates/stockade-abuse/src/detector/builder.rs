//! The builder of a detector.

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

/// Builds a [`Detector`]; created by [`Detector::builder`].
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

    /// Sets the clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets the maximum number of tracked offenders; 100,000 by default, of about 200 bytes
    /// each. If there are more, the least severe are dropped.
    pub fn max_tracked(mut self, offenders: usize) -> Self {
        self.max_tracked = offenders;
        self
    }

    /// Sets the maximum number of bans; 100,000 by default, of about 200 bytes each. If there
    /// are more, those that end first are lifted early.
    pub fn max_bans(mut self, bans: usize) -> Self {
        self.max_bans = bans;
        self
    }

    /// Adds a store that bans are written to and read from. Several stores can be combined,
    /// such as a file and Redis.
    pub fn store(mut self, store: Arc<dyn BanStore>) -> Self {
        self.stores.push(store);
        self
    }

    /// Adds a listener for all events.
    pub fn on_event(mut self, listener: impl Fn(&AbuseEvent) + Send + Sync + 'static) -> Self {
        self.listeners.push(Arc::new(listener));
        self
    }

    /// Builds the detector and subscribes it to its stores.
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
