//! The audit log: two views, on one journal or two.

use std::time::Duration;

use stockade_core::clock::Timestamp;

use crate::{
    FlushError, Journal, SecurityEvent,
    journal::{Admission, RefusalKey},
    line::Line,
};

/// Where records go: all requests to one journal, security events to the same or another.
///
/// Cheap to clone; all clones write to the same journals.
#[derive(Clone, Debug)]
pub struct AuditLog {
    requests: Journal,
    /// The same journal, where there is only one.
    events: Option<Journal>,
    /// Everything once more, elsewhere.
    copy: Option<Journal>,
}

impl AuditLog {
    /// A log of everything in one journal.
    pub fn new(journal: Journal) -> Self {
        Self {
            requests: journal,
            events: None,
            copy: None,
        }
    }

    /// A journal of security events besides, as people keep an `audit.log` beside an
    /// `app.log`: events of [`event`](Self::event), and again the requests that a guard
    /// refused or that were answered with 401, 403, 413, 415 or 429.
    pub fn security_events(mut self, journal: Journal) -> Self {
        self.events = Some(journal);
        self
    }

    /// A journal that gets everything, requests and security events, besides the others: a
    /// database beside a file. What becomes of its sink does not hold up the others, but its
    /// [`Overflow`](crate::Overflow) holds for all requests, too.
    pub fn copy(mut self, journal: Journal) -> Self {
        self.copy = Some(journal);
        self
    }

    /// Writes a security event. Never waits.
    pub fn event(&self, event: SecurityEvent) {
        let journal = self.events.as_ref().unwrap_or(&self.requests);
        let line = event.line(journal.now());
        journal.append(&line);
        if let Some(copy) = &self.copy {
            copy.append(&line);
        }
    }

    /// The journals: of requests, of security events where they have their own, and of
    /// everything once more.
    pub fn journals(&self) -> impl Iterator<Item = &Journal> {
        std::iter::once(&self.requests)
            .chain(&self.events)
            .chain(&self.copy)
    }

    /// Waits until all that was written so far is in the sinks, and synced where that is
    /// the policy. It holds the thread, so call it where that does no harm.
    ///
    /// # Errors
    /// When that is not so within this time.
    pub fn flush(&self, within: Duration) -> Result<(), FlushError> {
        let until = std::time::Instant::now() + within;
        let mut result = Ok(());
        for journal in self.journals() {
            let left = until.saturating_duration_since(std::time::Instant::now());
            result = result.and(journal.flush(left));
        }
        result
    }

    /// Opens files anew; for a signal such as SIGHUP.
    pub fn reopen(&self) {
        self.journals().for_each(Journal::reopen);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.requests.now()
    }

    pub(crate) fn request(&self, line: &Line) {
        self.requests.append(line);
        if let Some(copy) = &self.copy {
            copy.append(line);
        }
    }

    /// Writes a request that was refused, unless there were too many of its kind.
    pub(crate) fn refused(&self, key: RefusalKey, line: impl FnOnce() -> Line) {
        if self.requests.admit(key) {
            let line = line();
            for journal in self.journals() {
                journal.append(&line);
            }
        }
    }

    pub(crate) fn admission(&self) -> Admission {
        let others = self.events.iter().chain(&self.copy);
        others.fold(self.requests.admission(), |strictest, journal| {
            strictest.max(journal.admission())
        })
    }

    /// Ends when there is room in all journals, or nobody wants to wait any longer.
    pub(crate) async fn wait_for_space(self) {
        for journal in self.journals() {
            journal.wait_for_space().await;
        }
    }
}
