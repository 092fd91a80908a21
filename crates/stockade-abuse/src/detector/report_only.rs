//! Report-only mode: bans that are reported but not enforced.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use stockade_core::clock::Timestamp;

use crate::{Offender, bans::Bans};

/// The minimum interval between reported refusals of the same offender.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);
/// The maximum number of offenders whose last report is remembered.
const MAX_REMEMBERED: usize = 1_024;

/// The bans that would have been added, and the number of requests that they would have
/// refused.
pub(super) struct ReportOnly {
    pub(super) bans: Bans,
    refused: AtomicU64,
    reported: Mutex<HashMap<Offender, Timestamp>>,
}

impl ReportOnly {
    pub(super) fn new(max_bans: usize) -> Self {
        Self {
            bans: Bans::new(max_bans),
            refused: AtomicU64::new(0),
            reported: Mutex::default(),
        }
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Counts a request that would be refused. Returns whether to report it, so that a flood of
    /// requests does not cause a flood of events.
    pub(super) fn refuse(&self, offender: &Offender, now: Timestamp) -> bool {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported
            .get(offender)
            .is_some_and(|at| now - *at < REPORT_INTERVAL)
        {
            return false;
        }
        if reported.len() >= MAX_REMEMBERED {
            reported.retain(|_, at| now - *at < REPORT_INTERVAL);
        }
        // Further offenders within the interval are only counted.
        if reported.len() >= MAX_REMEMBERED {
            return false;
        }
        reported.insert(offender.clone(), now);
        true
    }
}
