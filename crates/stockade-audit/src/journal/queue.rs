//! What waits to be written.

use std::time::{Duration, Instant};

use stockade_core::clock::Timestamp;

use super::{
    collapse::{Offence, Repeated, Repeats},
    stats::JournalStats,
};
use crate::{
    ChainKey,
    line::{Level, Line, field},
};

/// A buffer of this size is worth a write of its own.
pub(super) const BATCH: usize = 64 * 1_024;

/// What ends a line besides its own bytes: its number, a brace, a line feed.
const ENDING: usize = 32;

pub(super) struct Queue {
    lines: Vec<u8>,
    /// Records in it.
    count: u64,
    capacity: usize,
    /// The number of the next record.
    next: u64,
    /// Records that found no room since that was last said.
    lost: u64,
    repeats: Repeats,
    pub(super) sleep: Sleep,
    pub(super) orders: Orders,
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
    Not,
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
pub(super) struct Orders {
    pub(super) reopen: bool,
    pub(super) checkpoint: bool,
    pub(super) key: Option<ChainKey>,
}

impl Queue {
    pub(super) fn new(capacity: usize, next: u64, repeats: Repeats) -> Self {
        Self {
            lines: Vec::new(),
            count: 0,
            capacity,
            next,
            lost: 0,
            repeats,
            sleep: Sleep::Not,
            orders: Orders::default(),
            stop: None,
            settled: next,
            finished: false,
            totals: JournalStats::default(),
        }
    }

    /// Appends a record and numbers it, if there is room.
    pub(super) fn push(&mut self, line: &[u8]) {
        if self.finished || self.lines.len() + line.len() + ENDING > self.capacity {
            self.lose(1);
        } else {
            self.push_anyway(line);
        }
    }

    /// Appends a record of the journal's own, for which there is always room.
    pub(super) fn push_anyway(&mut self, line: &[u8]) {
        let lines = &mut self.lines;
        // The line and its ending.
        lines.reserve(line.len() + ENDING);
        lines.extend_from_slice(line);
        lines.extend_from_slice(field!("seq").as_bytes());
        let mut digits = itoa::Buffer::new();
        lines.extend_from_slice(digits.format(self.next).as_bytes());
        lines.extend_from_slice(b"}\n");
        self.next += 1;
        self.count += 1;
    }

    pub(super) fn lose(&mut self, records: u64) {
        self.lost += records;
        self.totals.dropped += records;
    }

    /// Whether a record of this offence is to be written; says what was collapsed before.
    pub(super) fn admits(&mut self, offence: Offence, now: Timestamp) -> bool {
        self.tell_repeats(now);
        let admitted = self.repeats.admits(offence);
        self.totals.collapsed += u64::from(!admitted);
        admitted
    }

    /// Writes down what was collapsed in a second that is over.
    pub(super) fn tell_repeats(&mut self, now: Timestamp) {
        let finished = self.repeats.finished(now);
        self.tell(finished, now);
    }

    /// Writes down all that was collapsed: nobody may be there any more when the second is
    /// over.
    pub(super) fn tell_repeats_so_far(&mut self, now: Timestamp) {
        let so_far = self.repeats.so_far();
        self.tell(so_far, now);
    }

    fn tell(&mut self, repeats: impl IntoIterator<Item = (Repeated, u64)>, now: Timestamp) {
        for (repeated, times) in repeats {
            self.push(repeated.line(now, times).as_bytes());
        }
    }

    pub(super) fn has_repeats(&self) -> bool {
        self.repeats.any()
    }

    /// Writes down how many records were lost.
    pub(super) fn tell_lost(&mut self, now: Timestamp) {
        if self.lost > 0 {
            let mut line = Line::new(now, Level::Error, "audit records lost");
            line.word(field!("event"), "records_lost");
            line.number(field!("lost"), self.lost);
            self.push_anyway(line.as_bytes());
            self.lost = 0;
        }
    }

    /// Writes down the key that seals what comes after this batch.
    pub(super) fn tell_next_key(&mut self, key: &ChainKey, now: Timestamp) {
        let mut line = Line::new(now, Level::Info, "chain key rotated");
        line.word(field!("event"), "chain_key_rotated");
        line.word(field!("next_key"), key.id());
        self.push_anyway(line.as_bytes());
    }

    /// Nobody writes any more; what waits is lost.
    pub(super) fn finish(&mut self) {
        self.finished = true;
        self.lines.clear();
        let records = std::mem::take(&mut self.count);
        self.lose(records);
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
    pub(super) fn has_orders(&self) -> bool {
        let Orders {
            reopen,
            checkpoint,
            key,
        } = &self.orders;
        *reopen || *checkpoint || key.is_some() || self.stop.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(super) fn is_batch(&self) -> bool {
        self.lines.len() >= BATCH
    }

    /// Half of the capacity is for requests that were let in before.
    pub(super) fn is_full(&self) -> bool {
        self.lines.len() > self.capacity / 2
    }

    /// Whether the thread sleeps and should not.
    pub(super) fn wants_writer(&self) -> bool {
        match self.sleep {
            Sleep::Not => false,
            Sleep::Idle => !self.is_empty() || self.has_repeats(),
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
    use crate::Collapse;

    #[test]
    fn a_flood_of_refusals_wakes_the_thread_once() {
        let repeats = Repeats::new(Some(Collapse::per_second(1, 1)));
        let mut queue = Queue::new(1 << 20, 1, repeats);
        let now = Timestamp::from_secs(1);
        let refused =
            |queue: &mut Queue| queue.admits(Offence::new(None, None, Some(429), "many"), now);
        queue.sleep = Sleep::Idle;
        assert!(refused(&mut queue), "one is written");
        assert!(!queue.wants_writer(), "by whoever asked");
        assert!(!refused(&mut queue), "the second one is counted");
        assert!(
            queue.wants_writer(),
            "somebody has to tell of it in the end"
        );
        queue.sleep = Sleep::Counting;
        for _ in 0..3 {
            assert!(!refused(&mut queue));
            assert!(!queue.wants_writer(), "it knows");
        }
        queue.push(b"{\"a\":1");
        assert!(queue.wants_writer());
    }
}
