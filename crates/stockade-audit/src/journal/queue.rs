//! The buffer of records that wait for the journal's thread.

use std::time::{Duration, Instant};

use stockade_core::clock::Timestamp;

use super::{
    coalesce::{CoalesceKey, Coalescer, RefusalKey},
    stats::JournalStats,
};
use crate::{
    ChainKey,
    line::{Level, Line, field, text_field},
};

/// A buffer of this size is written without waiting for more records.
pub(super) const BATCH_BYTES: usize = 64 * 1_024;

/// The maximum length of a line's end: the record number, a brace and a line feed.
const SUFFIX: usize = 32;

pub(super) struct Queue {
    lines: Vec<u8>,
    /// The number of records in `lines`.
    count: u64,
    capacity: usize,
    /// The sequence number of the next record.
    next: u64,
    /// Records dropped since the last record about dropped records.
    lost: u64,
    coalescer: Coalescer,
    pub(super) sleep: Sleep,
    pub(super) commands: Commands,
    /// Write the remaining records and stop, at the latest at this time.
    pub(super) stop: Option<Instant>,
    /// All records before this one are written and covered by a checkpoint.
    settled: u64,
    pub(super) finished: bool,
    pub(super) totals: JournalStats,
}

/// What the thread waits for, so that requests wake it only when needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sleep {
    /// It is running and checks the queue before it sleeps.
    Awake,
    /// It waits for the first record, or the first coalesced refusal.
    Idle,
    /// It waits for the first record, or for the end of the second whose refusals are
    /// counted; further coalesced refusals do not wake it.
    Counting,
    /// It waits for a full batch or the linger time: records are pending, or a batch was
    /// just written and more records are expected.
    Lingering,
}

/// Commands for the thread.
#[derive(Default)]
pub(super) struct Commands {
    pub(super) reopen: bool,
    pub(super) checkpoint: bool,
    pub(super) key: Option<ChainKey>,
}

impl Queue {
    pub(super) fn new(capacity: usize, next: u64, coalescer: Coalescer) -> Self {
        Self {
            lines: Vec::new(),
            count: 0,
            capacity,
            next,
            lost: 0,
            coalescer,
            sleep: Sleep::Awake,
            commands: Commands::default(),
            stop: None,
            settled: next,
            finished: false,
            totals: JournalStats::default(),
        }
    }

    /// Appends a record with the next number, or counts it as lost if the buffer is full.
    pub(super) fn push(&mut self, line: &[u8]) {
        if self.finished || self.lines.len() + line.len() + SUFFIX > self.capacity {
            self.count_lost(1);
        } else {
            self.push_unbounded(line);
        }
    }

    /// Appends a record of the journal itself, regardless of the capacity.
    pub(super) fn push_unbounded(&mut self, line: &[u8]) {
        let lines = &mut self.lines;

        lines.reserve(line.len() + SUFFIX);
        lines.extend_from_slice(line);
        lines.extend_from_slice(field!("seq").as_bytes());
        let mut digits = itoa::Buffer::new();
        lines.extend_from_slice(digits.format(self.next).as_bytes());
        lines.extend_from_slice(b"}\n");
        self.next += 1;
        self.count += 1;
    }

    pub(super) fn count_lost(&mut self, records: u64) {
        self.lost += records;
        self.totals.dropped += records;
    }

    /// Returns whether to write a record for this refusal; first writes the counts of a
    /// second that has ended.
    pub(super) fn admit(&mut self, key: RefusalKey, now: Timestamp) -> bool {
        self.push_coalesced(now);
        let admitted = self.coalescer.admit(key);
        self.totals.coalesced += u64::from(!admitted);
        admitted
    }

    /// Writes the counts of a second that has ended.
    pub(super) fn push_coalesced(&mut self, now: Timestamp) {
        let finished = self.coalescer.finished(now);
        self.push_counts(finished, now);
    }

    /// Writes all counts, including those of the current second: the journal may stop before
    /// the second ends.
    pub(super) fn flush_coalesced(&mut self, now: Timestamp) {
        let so_far = self.coalescer.so_far();
        self.push_counts(so_far, now);
    }

    fn push_counts(
        &mut self,
        counts: impl IntoIterator<Item = (CoalesceKey, u64)>,
        now: Timestamp,
    ) {
        for (repeated, times) in counts {
            self.push(repeated.line(now, times).as_bytes());
        }
    }

    pub(super) fn has_coalesced(&self) -> bool {
        self.coalescer.has_counts()
    }

    /// Writes the number of lost records.
    pub(super) fn push_lost(&mut self, now: Timestamp) {
        if self.lost > 0 {
            let mut line = Line::new(now, Level::Error, "audit records lost");
            line.literal(text_field!("event"), "records_lost");
            line.number(field!("lost"), self.lost);
            self.push_unbounded(line.as_bytes());
            self.lost = 0;
        }
    }

    /// Writes the id of the key that seals the next batch.
    pub(super) fn push_key_rotation(&mut self, key: &ChainKey, now: Timestamp) {
        let mut line = Line::new(now, Level::Info, "chain key rotated");
        line.literal(text_field!("event"), "chain_key_rotated");
        line.literal(text_field!("next_key"), key.id());
        self.push_unbounded(line.as_bytes());
    }

    /// Drops the remaining records and all later ones.
    pub(super) fn finish(&mut self) {
        self.finished = true;
        self.lines.clear();
        let records = std::mem::take(&mut self.count);
        self.count_lost(records);
    }

    /// The time left to write records, if the journal is stopping.
    pub(super) fn time_left(&self) -> Option<Duration> {
        self.stop
            .map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// Swaps the buffer for an empty one; returns the number of records in it.
    pub(super) fn take(&mut self, spare: &mut Vec<u8>) -> u64 {
        debug_assert!(spare.is_empty(), "the last batch was written");
        std::mem::swap(&mut self.lines, spare);
        std::mem::take(&mut self.count)
    }

    /// Whether a command is pending.
    pub(super) fn has_commands(&self) -> bool {
        let Commands {
            reopen,
            checkpoint,
            key,
        } = &self.commands;
        *reopen || *checkpoint || key.is_some() || self.stop.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(super) fn is_batch(&self) -> bool {
        self.lines.len() >= BATCH_BYTES
    }

    /// Half of the capacity is reserved for requests that were admitted before.
    pub(super) fn is_full(&self) -> bool {
        self.lines.len() > self.capacity / 2
    }

    /// Whether the thread sleeps but has work.
    pub(super) fn needs_wakeup(&self) -> bool {
        match self.sleep {
            Sleep::Awake => false,
            Sleep::Idle => !self.is_empty() || self.has_coalesced(),
            Sleep::Counting => !self.is_empty(),
            Sleep::Lingering => self.is_batch(),
        }
    }

    /// A position after all records appended so far.
    pub(super) fn ticket(&self) -> u64 {
        self.next
    }

    pub(super) fn is_settled(&self, ticket: u64) -> bool {
        self.settled >= ticket
    }

    pub(super) fn settle(&mut self) {
        self.settled = self.next - self.count;
    }

    /// Whether all records are settled and none was lost.
    pub(super) fn is_complete(&self) -> bool {
        self.settled == self.next && self.lost == 0
    }

    pub(super) fn stats(&self, failing: bool) -> JournalStats {
        JournalStats {
            queued_bytes: self.lines.len(),
            failing,
            ..self.totals.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Coalesce;

    #[test]
    fn coalesced_refusals_wake_the_thread_once() {
        let coalescer = Coalescer::new(Some(Coalesce::per_second(1, 1)));
        let mut queue = Queue::new(1 << 20, 1, coalescer);
        let now = Timestamp::from_secs(1);
        let refused =
            |queue: &mut Queue| queue.admit(RefusalKey::new(None, None, Some(429), "many"), now);
        queue.sleep = Sleep::Idle;
        assert!(refused(&mut queue), "the first one is recorded");
        assert!(!queue.needs_wakeup(), "nothing is pending yet");
        assert!(!refused(&mut queue), "the second one is counted");
        assert!(queue.needs_wakeup(), "the count must be written later");
        queue.sleep = Sleep::Counting;
        for _ in 0..3 {
            assert!(!refused(&mut queue));
            assert!(!queue.needs_wakeup(), "a count is pending already");
        }
        queue.push(b"{\"a\":1");
        assert!(queue.needs_wakeup());
    }
}
