//! The audit log: requests and security events, in one or more journals.

use std::time::Duration;

use stockade_core::{clock::Timestamp, context::RequestContext};

use crate::{
    FlushError, Journal, SecurityEvent,
    journal::{Admission, RefusalKey},
    line::Line,
};

/// Distributes records to journals: requests to one journal, security events to the same or
/// another one.
///
/// Cloning is cheap; all clones write to the same journals.
///
/// ```
/// use std::time::Duration;
///
/// use stockade_audit::{AuditLog, EventKind, Journal, Overflow, SecurityEvent, WriterSink};
///
/// let requests = Journal::builder(WriterSink::new(std::io::sink()), Overflow::DropAndCount);
/// let events = Journal::builder(WriterSink::new(std::io::sink()), Overflow::FailClosed);
/// let log = AuditLog::new(requests.start()?).security_events(events.start()?);
/// log.event(SecurityEvent::new(EventKind::KeyRevoked).subject("team-core"));
/// // Before the process exits:
/// log.flush(Duration::from_secs(5))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct AuditLog {
    requests: Journal,
    /// `None` if security events go to `requests`.
    events: Option<Journal>,
    /// Each receives a copy of every record.
    copies: Vec<Journal>,
}

impl AuditLog {
    /// Creates a log that writes all records to one journal.
    pub fn new(journal: Journal) -> Self {
        Self {
            requests: journal,
            events: None,
            copies: Vec::new(),
        }
    }

    /// Adds a journal for security events, such as an `audit.log` in addition to an `app.log`.
    /// It receives the events of [`event`](Self::event), and a copy of each request that a
    /// guard refused or whose status is 401, 403, 413, 415 or 429.
    pub fn security_events(mut self, journal: Journal) -> Self {
        self.events = Some(journal);
        self
    }

    /// Adds a journal that receives a copy of every record, such as a database next to a file. It
    /// may be called several times. A slow or failing sink does not delay the other journals, but
    /// the [`Overflow`](crate::Overflow) of this journal applies to all requests, too.
    pub fn copy(mut self, journal: Journal) -> Self {
        self.copies.push(journal);
        self
    }

    /// Writes a security event without waiting.
    pub fn event(&self, event: SecurityEvent) {
        let journal = self.events.as_ref().unwrap_or(&self.requests);
        let line = event.line(journal.now());
        journal.append(&line);
        for copy in &self.copies {
            copy.append(&line);
        }
    }

    /// Returns the journals: requests, security events and copies, as far as they are set.
    pub fn journals(&self) -> impl Iterator<Item = &Journal> {
        std::iter::once(&self.requests)
            .chain(&self.events)
            .chain(&self.copies)
    }

    /// Waits until all records written so far are in the sinks, and synced if the
    /// [`Fsync`](crate::Fsync) policy requires it. Blocks the calling thread.
    ///
    /// # Errors
    /// Fails if this takes longer than `within`.
    pub fn flush(&self, within: Duration) -> Result<(), FlushError> {
        let until = std::time::Instant::now() + within;
        let mut result = Ok(());
        for journal in self.journals() {
            let left = until.saturating_duration_since(std::time::Instant::now());
            result = result.and(journal.flush(left));
        }
        result
    }

    /// Reopens the files of all sinks, for example on SIGHUP.
    pub fn reopen(&self) {
        self.journals().for_each(Journal::reopen);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.requests.now()
    }

    /// Returns when the request arrived, by the clock of the journal of requests.
    pub(crate) fn arrival(&self, context: &RequestContext) -> Timestamp {
        self.requests.arrival(context)
    }

    pub(crate) fn request(&self, line: &Line) {
        self.requests.append(line);
        for copy in &self.copies {
            copy.append(line);
        }
    }

    /// Writes the record of a refused request, unless it is coalesced. Each copy coalesces by
    /// itself, so that it has the number of refusals, too.
    pub(crate) fn refused(&self, key: RefusalKey, now: Timestamp, line: impl FnOnce() -> Line) {
        let admits = |journal: &Journal| journal.admit(key.clone(), now);
        let copies: Vec<&Journal> = self.copies.iter().filter(|copy| admits(copy)).collect();
        let admitted = admits(&self.requests);
        if !admitted && copies.is_empty() {
            return;
        }
        let line = line();
        let events = self.events.iter().chain([&self.requests]);
        for journal in events.filter(|_| admitted).chain(copies) {
            journal.append(&line);
        }
    }

    pub(crate) fn admission(&self) -> Admission {
        let others = self.events.iter().chain(&self.copies);
        others.fold(self.requests.admission(), |strictest, journal| {
            strictest.max(journal.admission())
        })
    }

    /// Completes when all journals have space.
    pub(crate) async fn wait_for_space(self) {
        for journal in self.journals() {
            journal.wait_for_space().await;
        }
    }
}
