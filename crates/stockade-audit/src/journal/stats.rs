//! What a journal has done.

/// Counts since the journal was started, for metrics, and how it is right now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalStats {
    /// Records that are in the sink.
    pub written: u64,
    /// Records that were lost: there was no room, or no time at the end.
    pub dropped: u64,
    /// Refusals that have no record of their own, but are counted in one.
    pub coalesced: u64,
    /// Writes that failed.
    pub errors: u64,
    /// Bytes that wait, besides the batch that is being written.
    pub queued_bytes: usize,
    /// Whether the last write failed.
    pub failing: bool,
    /// The last error of the sink, whether or not it is over.
    pub last_error: Option<String>,
}
