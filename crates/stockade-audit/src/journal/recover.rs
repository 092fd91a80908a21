//! Recovers the position of a chain from the stored log, and verifies that log.

use std::io;

use crate::{ChainKey, FaultKind, Report, StoredLog, Verifier, chain::Mac, line::Level};

/// The position from which a journal continues.
pub(super) struct Recovery {
    /// The number of the next record.
    pub(super) next: u64,
    /// The digest of the last batch.
    pub(super) tip: Mac,
    /// The state of the stored log, as in the field `past`.
    pub(super) finding: &'static str,
}

impl Default for Recovery {
    /// An empty log.
    fn default() -> Self {
        Self {
            next: 1,
            tip: [0; 32],
            finding: "none",
        }
    }
}

impl Recovery {
    pub(super) fn level(&self) -> Level {
        match self.finding {
            "none" | "intact" => Level::Info,
            "unproven" | "headless" => Level::Warn,
            _ => Level::Error,
        }
    }
}

/// Verifies the stored log. The chain continues even if the log was tampered with; the
/// finding is recorded.
pub(super) fn recover(
    stored: StoredLog,
    keys: impl IntoIterator<Item = ChainKey>,
) -> io::Result<Recovery> {
    if stored.log.is_none() && stored.head.is_none() {
        return Ok(Recovery::default());
    }
    let headless = stored.head.is_none();
    let mut verifier = Verifier::new(keys);
    if let Some(head) = stored.head {
        verifier = verifier.head(&head);
    }
    if let Some(log) = stored.log {
        verifier.read(log)?;
    }
    let (report, tip) = verifier.finish_with_tip();
    Ok(Recovery {
        next: tip.map_or(1, |tip| tip.seq + 1),
        tip: tip.map_or([0; 32], |tip| tip.mac),
        finding: finding(&report, headless),
    })
}

/// Returns the most severe finding.
fn finding(report: &Report, headless: bool) -> &'static str {
    let rank = |kind: &FaultKind| match kind {
        FaultKind::Unsealed { .. } => (1, "unproven"),
        FaultKind::Truncated { .. } => (3, "cut"),
        _ => (4, "altered"),
    };
    let faults = report.faults.iter().map(|fault| rank(&fault.kind));
    // A log whose head was removed may also be truncated.
    let all = faults.chain(headless.then_some((2, "headless")));
    all.max().map_or("intact", |(_, finding)| finding)
}
