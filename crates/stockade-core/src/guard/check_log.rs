//! When the guards have checked a request, for traces.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use super::{Head, Progress};

/// A guard's check of a request, as
/// [`RequestContext::record_checks`](crate::context::RequestContext::record_checks) records it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckRecord {
    /// The name of the guard.
    pub guard: &'static str,
    /// When the check has started.
    pub started: SystemTime,
    /// When it has ended, and how; `None` while it waits, and if the request was dropped then.
    pub end: Option<(SystemTime, CheckOutcome)>,
}

/// How a check has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckOutcome {
    /// The request may go on.
    Allowed,
    /// It was refused with this code.
    Refused(&'static str),
    /// The guard has responded itself.
    Answered,
}

/// Whether the checks of any request were recorded. Until then, a guard costs only this load.
static IS_USED: AtomicBool = AtomicBool::new(false);

/// The checks of a request.
pub(crate) struct CheckLog(Mutex<Vec<CheckRecord>>);

impl CheckLog {
    pub(crate) fn start() -> Self {
        IS_USED.store(true, Ordering::Relaxed);
        Self(Mutex::default())
    }

    pub(crate) fn records(&self) -> Vec<CheckRecord> {
        self.with(|records| records.clone())
    }

    fn with<T>(&self, read: impl FnOnce(&mut Vec<CheckRecord>) -> T) -> T {
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether checks may have to be recorded.
#[inline]
pub(super) fn is_used() -> bool {
    IS_USED.load(Ordering::Relaxed)
}

/// Runs a check, and records it.
#[cold]
pub(super) fn record<B, W>(
    guard: &'static str,
    head: &mut Head,
    check: impl FnOnce(&mut Head) -> Progress<B, W>,
) -> Progress<B, W> {
    if let Some(log) = log(head) {
        let started = SystemTime::now();
        log.with(|records| {
            records.push(CheckRecord {
                guard,
                started,
                end: None,
            });
        });
    }
    let progress = check(head);
    record_end(head, &progress);
    progress
}

/// Records the end of the last check, unless it waits.
pub(super) fn record_end<B, W>(head: &Head, progress: &Progress<B, W>) {
    if !is_used() {
        return;
    }
    let outcome = match progress {
        Progress::Pass(_) => CheckOutcome::Allowed,
        Progress::Refuse(refused) => CheckOutcome::Refused(refused.refusal.code()),
        Progress::Answer(_) => CheckOutcome::Answered,
        Progress::Wait(_) => return,
    };
    if let Some(log) = log(head) {
        let end = Some((SystemTime::now(), outcome));
        log.with(|records| {
            if let Some(record) = records.last_mut() {
                record.end = end;
            }
        });
    }
}

fn log(head: &Head) -> Option<&CheckLog> {
    head.existing_context()?.check_log()
}
