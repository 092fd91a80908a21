//! Verifies a sealed log.

mod batch;
mod line;
mod report;

use std::{
    collections::{HashMap, HashSet},
    io::{self, BufRead, Read},
};

use sha2::Digest;

pub use report::{Fault, FaultKind, Report};

use crate::{
    ChainKey,
    chain::{Forgotten, Head, Mac, Seal, Sealed, line_digest},
};
use batch::{Batch, JournalStart, Position};
use line::LineFields;

/// Verifies a sealed log, file by file, in one pass.
///
/// It holds at most one line in memory.
///
/// ```no_run
/// use std::{fs, io::BufReader};
/// use stockade_audit::{ChainKey, Verifier, log_files};
///
/// # let secret = [7; 32];
/// let head = fs::read_to_string("audit.log.head")?;
/// let mut verifier = Verifier::new([ChainKey::new("k1", secret)?]).head(&head);
/// for file in log_files("audit.log")? {
///     verifier.read(BufReader::new(fs::File::open(file)?))?;
/// }
/// let report = verifier.finish();
/// assert!(report.is_intact(), "{:?}", report.faults);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Verifier {
    keys: HashMap<Box<str>, ChainKey>,
    /// Keys that were replaced by another one.
    retired: HashSet<Box<str>>,
    current: Option<Box<str>>,
    head: HeadState,
    batch: Batch,
    tip: Option<Tip>,
    position: Position,
    report: Report,
}

/// The end of the last batch, verified or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tip {
    pub(crate) seq: u64,
    pub(crate) mac: Mac,
}

#[derive(Debug)]
enum HeadState {
    Absent,
    Forged,
    Expected(Head),
    Reached,
}

impl Verifier {
    /// A longer line is not a record.
    const MAX_LINE: u64 = 64 * 1_024;

    /// Creates a verifier with all keys that sealed the log.
    pub fn new(keys: impl IntoIterator<Item = ChainKey>) -> Self {
        Self {
            keys: keys.into_iter().map(|key| (key.id().into(), key)).collect(),
            retired: HashSet::new(),
            current: None,
            head: HeadState::Absent,
            batch: Batch::default(),
            tip: None,
            position: Position::default(),
            report: Report::default(),
        }
    }

    /// Also verifies that the log is complete up to this head. If the log is in use, read the
    /// head before the log.
    pub fn head(mut self, text: &str) -> Self {
        self.head = match Head::verify(text, |id| self.keys.get(id)) {
            Some(head) => HeadState::Expected(head),
            None => HeadState::Forged,
        };
        self
    }

    /// Reads the next file of the log, starting with the oldest.
    ///
    /// # Errors
    /// Fails if the file cannot be read. Faults of its contents are in the report.
    pub fn read(&mut self, mut log: impl BufRead) -> io::Result<()> {
        self.position = Position {
            file: self.position.file + 1,
            line: 0,
        };
        let mut line = Vec::new();
        loop {
            line.clear();
            if log
                .by_ref()
                .take(Self::MAX_LINE)
                .read_until(b'\n', &mut line)?
                == 0
            {
                return Ok(());
            }
            self.position.line += 1;
            self.line(&line);
        }
    }

    fn line(&mut self, line: &[u8]) {
        self.report.lines += 1;
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let sealed = Sealed::parse(text);
        let covered = sealed.as_ref().map_or(text, |sealed| sealed.covered);
        let fields = LineFields::read(covered);
        if let Some(past) = fields.opened {
            // A new process cannot seal lines that the previous one left without a seal.
            let unsealed_before = std::mem::take(&mut self.batch).lines;
            self.batch.opened = Some(JournalStart {
                unsealed_before,
                acknowledged: past == "unproven",
            });
        }
        if self.batch.lines == 0 {
            self.batch.first = self.position;
        }
        self.batch.lines += 1;
        let digest = self.forgotten(text).unwrap_or_else(|| line_digest(covered));
        self.batch.sha256.update(digest);
        self.batch.lost += fields.lost;
        if let Some(key) = fields.next_key {
            self.batch.next_key = Some(key.into());
        }
        self.check_seq(fields.seq);
        if let Some(sealed) = sealed {
            self.seal(&sealed.seal);
        }
    }

    /// The digest of a record that was replaced by it. A line without a valid proof is a line
    /// like all others, which the seal does not cover.
    fn forgotten(&mut self, line: &[u8]) -> Option<Mac> {
        let forgotten = Forgotten::parse(line)?;
        match self.keys.get(forgotten.key) {
            None => {
                let kind = FaultKind::UnknownKey(forgotten.key.into());
                self.batch.note(self.position, kind);
            }
            Some(key) if !forgotten.verify(key) => return None,
            // A stolen key that was replaced hides no later record.
            Some(_) if self.retired.contains(forgotten.key) => {
                let kind = FaultKind::WrongKey(forgotten.key.into());
                self.batch.note(self.position, kind);
            }
            Some(_) => self.batch.forgotten += 1,
        }
        Some(forgotten.digest)
    }

    /// Compares the number of a record with the expected one.
    fn check_seq(&mut self, seq: Option<u64>) {
        let last = self.batch.last_seq.or(self.tip.map(|tip| tip.seq));
        self.batch.last_seq = seq.or(self.batch.last_seq);
        let kind = match (last, seq) {
            (_, None) => FaultKind::NotARecord,
            (Some(last), Some(seq)) if seq <= last => FaultKind::OutOfOrder { seq },
            (Some(last), Some(seq)) if seq - last > 1 => FaultKind::Missing {
                from: last + 1,
                to: seq - 1,
            },
            (_, Some(seq)) => {
                self.report.first_seq.get_or_insert(seq);
                return;
            }
        };
        self.batch.note(self.position, kind);
    }

    fn seal(&mut self, seal: &Seal<'_>) {
        let mut batch = std::mem::take(&mut self.batch);
        self.report.note(std::mem::take(&mut batch.faults));
        let tip = Tip {
            seq: batch.last_seq.unwrap_or_default(),
            mac: seal.mac,
        };
        let before = self.tip.replace(tip);
        match self.check_seal(&batch, seal) {
            Err(kind) => self.fault(batch.first, kind),
            Ok(()) => {
                if before.is_some_and(|before| before.mac != seal.previous) {
                    self.fault(batch.first, FaultKind::BrokenLink);
                }
                self.accept(batch, seal);
            }
        }
        self.check_head(tip);
    }

    /// Verifies the seal of a batch, and that its key was in use.
    fn check_seal(&self, batch: &Batch, seal: &Seal<'_>) -> Result<(), FaultKind> {
        let Some(key) = self.keys.get(seal.key) else {
            return Err(FaultKind::UnknownKey(seal.key.into()));
        };
        if !seal.verify(key, &batch.sha256.clone().finalize()) {
            return Err(FaultKind::Altered);
        }
        let same = self
            .current
            .as_deref()
            .is_none_or(|current| current == seal.key);
        let changed = batch.opened.is_some() && !self.retired.contains(seal.key);
        if same || changed {
            Ok(())
        } else {
            Err(FaultKind::WrongKey(seal.key.into()))
        }
    }

    /// Applies the contents of a verified batch.
    fn accept(&mut self, batch: Batch, seal: &Seal<'_>) {
        self.report.batches += 1;
        self.report.proven += batch.lines;
        self.report.lost += batch.lost;
        self.report.forgotten += batch.forgotten;
        self.report.last_seq = batch.last_seq;
        if let Some(opened) = batch.opened {
            self.report.starts += 1;
            if opened.acknowledged {
                self.report.unproven += opened.unsealed_before;
            } else if opened.unsealed_before > 0 {
                self.fault(
                    batch.first,
                    FaultKind::Unsealed {
                        lines: opened.unsealed_before,
                    },
                );
            }
        }
        self.use_key(seal.key);
        if let Some(next) = batch.next_key {
            self.use_key(&next);
        }
    }

    fn use_key(&mut self, key: &str) {
        let previous = self.current.replace(key.into());
        if let Some(previous) = previous.filter(|previous| **previous != *key) {
            self.report.key_rotations += 1;
            self.retired.insert(previous);
        }
    }

    fn check_head(&mut self, tip: Tip) {
        if let HeadState::Expected(head) = &self.head
            && tip.seq >= head.seq
        {
            let same = (tip.seq, tip.mac) == (head.seq, head.tip);
            // If older files were removed, the log may start after the head.
            let later = self.report.first_seq.is_some_and(|first| first > head.seq);
            self.head = HeadState::Reached;
            if !same && !later {
                self.fault(self.position, FaultKind::HeadMismatch);
            }
        }
    }

    /// Ends the verification after the last file.
    pub fn finish(self) -> Report {
        self.finish_with_tip().0
    }

    /// Returns the report, and the position from which a writer continues.
    pub(crate) fn finish_with_tip(mut self) -> (Report, Option<Tip>) {
        let batch = std::mem::take(&mut self.batch);
        if batch.lines > 0 {
            self.fault(batch.first, FaultKind::Unsealed { lines: batch.lines });
        }
        let last = self.tip.map_or(0, |tip| tip.seq);
        self.report.key = self.current.take();
        match self.head {
            HeadState::Expected(head) => {
                let (from, to) = (last + 1, head.seq);
                self.fault(self.position, FaultKind::Truncated { from, to });
                self.tip = Some(Tip {
                    seq: head.seq,
                    mac: head.tip,
                });
            }
            HeadState::Forged => self.fault(self.position, FaultKind::ForgedHead),
            HeadState::Absent | HeadState::Reached => {}
        }
        (self.report, self.tip)
    }

    fn fault(&mut self, position: Position, kind: FaultKind) {
        self.report.note([position.fault(kind)]);
    }
}

#[cfg(test)]
mod tests;
