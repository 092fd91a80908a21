//! What waits to be written.

use std::time::{Duration, Instant};

use stockade_core::clock::Timestamp;

use super::{
    coalesce::{CoalesceKey, Coalescer, RefusalKey},
    stats::JournalStats,
};
use crate::{
    ChainKey,
    line::{Level, Line, field},
};

/// A buffer of this size is worth a write of its own.
pub(super) const BATCH_BYTES: usize = 64 * 1_024;

/// What ends a line besides its own bytes: its number, a brace, a line feed.
const SUFFIX: usize = 32;

pub(super) struct Queue {
    lines: Vec<u8>,
    /// Records in it.
    count: u64,
    capacity: usize,
    /// The number of the next record.
    next: u64,
    /// Records that found no room since that was last said.
    lost: u64,
    coalescer: Coalescer,
    pub(super) sleep: Sleep,
    pub(super) commands: Commands,
    /// Write what there is and stop; give up at this time.
    pub(super) stop: Option<Instant>,
    /// All records before this one are written, and covered by a checkpoint.
    settled: u64,
    pub(super) finished: bool,
    pub(super) totals: JournalStats,
}

/// What the thread waits for, so that nobody wakes it in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sleep {
    /// It is at work and will look by itself.
    Awake,
    /// For the first record, or the first that is collapsed.
    Idle,
    /// For the first record, or until the second is over whose refusals are counted: the
    /// many that a flood brings need not wake it.
    Counting,
    /// For a whole batch, or a little while: records wait already, or a batch of them was
    /// just written and more will come.
    Lingering,
}

/// What the thread is to do besides writing.
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

    /// Appends a record and numbers it, if there is room.
    pub(super) fn push(&mut self, line: &[u8]) {
        if self.finished || self.lines.len() + line.len() + SUFFIX > self.capacity {
            self.count_lost(1);
        } else {
            self.push_unbounded(line);
        }
    }

    /// Appends a record of the journal's own, for which there is always room.
    pub(super) fn push_unbounded(&mut self, line: &[u8]) {
        let lines = &mut self.lines;
        // The line and its ending.
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

    /// Whether a record of this offence is to be written; says what was collapsed before.
    pub(super) fn admit(&mut self, key: RefusalKey, now: Timestamp) -> bool {
        self.push_coalesced(now);
        let admitted = self.coalescer.admit(key);
        self.totals.coalesced += u64::from(!admitted);
        admitted
    }

    /// Writes down what was collapsed in a second that is over.
    pub(super) fn push_coalesced(&mut self, now: Timestamp) {
        let finished = self.coalescer.finished(now);
        self.push_counts(finished, now);
    }

    /// Writes down all that was collapsed: nobody may be there any more when the second is
    /// over.
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

    /// Writes down how many records were lost.
    pub(super) fn push_lost(&mut self, now: Timestamp) {
        if self.lost > 0 {
            let mut line = Line::new(now, Level::Error, "audit records lost");
            line.literal(field!("event"), "records_lost");
            line.number(field!("lost"), self.lost);
            self.push_unbounded(line.as_bytes());
            self.lost = 0;
        }
    }

    /// Writes down the key that seals what comes after this batch.
    pub(super) fn push_key_rotation(&mut self, key: &ChainKey, now: Timestamp) {
        let mut line = Line::new(now, Level::Info, "chain key rotated");
        line.literal(field!("event"), "chain_key_rotated");
        line.literal(field!("next_key"), key.id());
        self.push_unbounded(line.as_bytes());
    }

    /// Nobody writes any more; what waits is lost.
    pub(super) fn finish(&mut self) {
        self.finished = true;
        self.lines.clear();
        let records = std::mem::take(&mut self.count);
        self.count_lost(records);
    }

    /// How long there is still time to write, where the journal stops.
    pub(super) fn time_left(&self) -> Option<Duration> {
        self.stop
            .map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// Takes all there is, and leaves an empty buffer; how many records that were.
    pub(super) fn take(&mut self, spare: &mut Vec<u8>) -> u64 {
        debug_assert!(spare.is_empty(), "the last batch was written");
        std::mem::swap(&mut self.lines, spare);
        std::mem::take(&mut self.count)
    }

    /// Whether there is more to do for the thread than to write.
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

    /// Half of the capacity is for requests that were let in before.
    pub(super) fn is_full(&self) -> bool {
        self.lines.len() > self.capacity / 2
    }

    /// Whether the thread sleeps and should not.
    pub(super) fn needs_wakeup(&self) -> bool {
        match self.sleep {
            Sleep::Awake => false,
            Sleep::Idle => !self.is_empty() || self.has_coalesced(),
            Sleep::Counting => !self.is_empty(),
            Sleep::Lingering => self.is_batch(),
        }
    }

    /// The number of the next record: what is settled before it, is all.
    pub(super) fn ticket(&self) -> u64 {
        self.next
    }

    pub(super) fn is_settled(&self, ticket: u64) -> bool {
        self.settled >= ticket
    }

    pub(super) fn settle(&mut self) {
        self.settled = self.next - self.count;
    }

    /// Whether all records ever written were settled.
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
    fn a_flood_of_refusals_wakes_the_thread_once() {
        let coalescer = Coalescer::new(Some(Coalesce::per_second(1, 1)));
        let mut queue = Queue::new(1 << 20, 1, coalescer);
        let now = Timestamp::from_secs(1);
        let refused =
            |queue: &mut Queue| queue.admit(RefusalKey::new(None, None, Some(429), "many"), now);
        queue.sleep = Sleep::Idle;
        assert!(refused(&mut queue), "one is written");
        assert!(!queue.needs_wakeup(), "by whoever asked");
        assert!(!refused(&mut queue), "the second one is counted");
        assert!(
            queue.needs_wakeup(),
            "somebody has to tell of it in the end"
        );
        queue.sleep = Sleep::Counting;
        for _ in 0..3 {
            assert!(!refused(&mut queue));
            assert!(!queue.needs_wakeup(), "it knows");
        }
        queue.push(b"{\"a\":1");
        assert!(queue.needs_wakeup());
    }
}
