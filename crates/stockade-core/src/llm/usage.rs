//! Model tokens of one request, counted while it runs.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

/// Model tokens of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenUsage {
    /// Tokens that went in, image tokens included.
    pub prompt_tokens: u64,
    /// Tokens that came out.
    pub completion_tokens: u64,
}

/// A [`TokenUsage`] that is reported from one thread and read from another.
///
/// All of it is in one word, so that a reader never sees the prompt of one report with the
/// answer of another: from the top the bits `REPORTED`, `CLOSED` and `ESTIMATED`,
/// 30 bits of prompt tokens and 30 bits of completion tokens.
#[derive(Default)]
pub(crate) struct UsageCell(AtomicU64);

const REPORTED: u64 = 1 << 63;
const CLOSED: u64 = 1 << 62;
const ESTIMATED: u64 = 1 << 61;
const BITS: u32 = 30;
/// The largest number of tokens; a larger one is stored as this.
const MOST: u64 = (1 << BITS) - 1;

impl UsageCell {
    pub(crate) fn get(&self) -> Option<TokenUsage> {
        unpack(self.0.load(Ordering::Acquire))
    }

    /// Reports this, unless reports have ended.
    pub(crate) fn set(&self, usage: TokenUsage) {
        self.store(pack(usage));
    }

    /// Reports this estimate, unless reports have ended.
    pub(crate) fn set_estimate(&self, usage: TokenUsage) {
        self.store(pack(usage) | ESTIMATED);
    }

    fn store(&self, packed: u64) {
        let open = |old: u64| (old & CLOSED == 0).then_some(packed);
        // Too late a report has no reader.
        let _ = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, open);
    }

    /// Ends the reports. Further calls return the same value.
    pub(crate) fn close(&self) -> Option<TokenUsage> {
        unpack(self.0.fetch_or(CLOSED, Ordering::AcqRel))
    }

    /// Ends the reports; without any, this estimate stands for them.
    pub(crate) fn close_or(&self, estimate: TokenUsage) -> Option<TokenUsage> {
        let packed = pack(estimate) | ESTIMATED | CLOSED;
        match self
            .0
            .compare_exchange(0, packed, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => unpack(packed),
            Err(_) => self.close(),
        }
    }

    /// Whether the usage is an estimate.
    pub(crate) fn is_estimated(&self) -> bool {
        self.0.load(Ordering::Acquire) & ESTIMATED != 0
    }
}

fn pack(usage: TokenUsage) -> u64 {
    let TokenUsage {
        prompt_tokens,
        completion_tokens,
    } = usage;
    REPORTED | prompt_tokens.min(MOST) << BITS | completion_tokens.min(MOST)
}

fn unpack(packed: u64) -> Option<TokenUsage> {
    (packed & REPORTED != 0).then_some(TokenUsage {
        prompt_tokens: packed >> BITS & MOST,
        completion_tokens: packed & MOST,
    })
}

impl fmt::Debug for UsageCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What can happen to a cell, from any thread.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        Report(TokenUsage),
        ReportEstimate(TokenUsage),
        Close,
        Estimate,
    }

    const ESTIMATE: TokenUsage = TokenUsage {
        prompt_tokens: 70,
        completion_tokens: 7,
    };

    fn event() -> impl Strategy<Value = Event> {
        let tokens = || prop_oneof![0..5_u64, Just(MOST), Just(MOST + 1), Just(u64::MAX)];
        let report = (tokens(), tokens()).prop_map(|(prompt_tokens, completion_tokens)| {
            Event::Report(TokenUsage {
                prompt_tokens,
                completion_tokens,
            })
        });
        let estimate = report.clone().prop_map(|event| match event {
            Event::Report(usage) => Event::ReportEstimate(usage),
            event => event,
        });
        prop_oneof![3 => report, 1 => estimate, 1 => Just(Event::Close), 1 => Just(Event::Estimate)]
    }

    proptest! {
        // FC01
        #[test]
        fn the_last_report_before_the_end_counts_and_no_later_one(
            events in proptest::collection::vec(event(), 0..12),
        ) {
            let cell = UsageCell::default();
            let (mut expected, mut closed, mut estimated) = (None, false, false);
            for event in events {
                match event {
                    Event::Report(usage) | Event::ReportEstimate(usage) => {
                        let is_estimate = matches!(event, Event::ReportEstimate(_));
                        match is_estimate {
                            true => cell.set_estimate(usage),
                            false => cell.set(usage),
                        }
                        if !closed {
                            estimated = is_estimate;
                            expected = Some(TokenUsage {
                                prompt_tokens: usage.prompt_tokens.min(MOST),
                                completion_tokens: usage.completion_tokens.min(MOST),
                            });
                        }
                    }
                    Event::Close => {
                        prop_assert_eq!(cell.close(), expected);
                        closed = true;
                    }
                    Event::Estimate => {
                        if !closed && expected.is_none() {
                            (expected, estimated) = (Some(ESTIMATE), true);
                        }
                        prop_assert_eq!(cell.close_or(ESTIMATE), expected);
                        closed = true;
                    }
                }
                prop_assert_eq!(cell.get(), expected);
                prop_assert_eq!(cell.is_estimated(), estimated);
            }
            prop_assert_eq!(cell.close(), expected);
        }
    }

    #[test]
    fn a_reader_never_sees_half_a_report() {
        let cell = UsageCell::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for tokens in 1..=100_000 {
                    cell.set(TokenUsage {
                        prompt_tokens: tokens,
                        completion_tokens: tokens,
                    });
                }
                cell.close();
            });
            loop {
                let Some(usage) = cell.get() else { continue };
                assert_eq!(usage.prompt_tokens, usage.completion_tokens);
                if usage.prompt_tokens == 100_000 {
                    break;
                }
            }
        });
    }
}
