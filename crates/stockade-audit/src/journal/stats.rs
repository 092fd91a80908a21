//! The counters of a journal.

/// Counters since the start of a journal, and its current state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalStats {
    /// Records written to the sink.
    pub written: u64,
    /// Records lost because the buffer was full or the journal stopped.
    pub dropped: u64,
    /// Refusals without their own record; another record counts them.
    pub coalesced: u64,
    /// Failed writes.
    pub errors: u64,
    /// Bytes in the buffer, without the batch that is being written.
    pub queued_bytes: usize,
    /// Whether the last write failed.
    pub failing: bool,
    /// The last error of the sink, even if later writes succeeded.
    pub last_error: Option<String>,
}
