//! What would happen, where the policy only reports.

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

/// The time after which one more refusal of the same offender is reported one by one.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);
/// The offenders whose last report is remembered.
const MAX_REMEMBERED: usize = 1_024;

/// The bans that a policy would have made, and the requests that they would have refused.
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

    /// Counts a request that would be refused. `true` where it should be reported: all are
    /// counted, but a flood of one offender must not be a flood of events.
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
        // More offenders than that within a minute are reported by the counter alone.
        if reported.len() >= MAX_REMEMBERED {
            return false;
        }
        reported.insert(offender.clone(), now);
        true
    }
}
