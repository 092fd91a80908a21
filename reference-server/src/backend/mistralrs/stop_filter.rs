//! Truncates streamed text before the first stop sequence, regardless of how it is split.

use super::think_filter::partial_len;

/// Holds back the end of the text while it could be the start of a stop sequence.
#[derive(Debug, Default)]
pub(super) struct StopFilter {
    stops: Vec<String>,
    pending: String,
}

/// The text to pass on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filtered {
    /// Text, possibly empty; more may follow.
    Pass(String),
    /// The last text, possibly empty: a stop sequence follows.
    Stopped {
        text: String,
        /// The stop sequence.
        stop: String,
        /// The length of what follows.
        dropped: usize,
    },
}

impl StopFilter {
    /// Creates a filter; empty strings in `stops` are ignored.
    pub(super) fn new(stops: impl IntoIterator<Item = String>) -> Self {
        Self {
            stops: stops.into_iter().filter(|s| !s.is_empty()).collect(),
            pending: String::new(),
        }
    }

    /// Adds the next piece of text.
    pub(super) fn push(&mut self, piece: &str) -> Filtered {
        self.pending.push_str(piece);
        let found = self.stops.iter();
        let found = found.filter_map(|stop| Some((self.pending.find(stop)?, stop)));
        // Of two at the same place, the shorter one is complete first.
        if let Some((at, stop)) = found.min_by_key(|(at, stop)| (*at, stop.len())) {
            let stop = stop.clone();
            let dropped = self.pending.len() - at;
            self.pending.truncate(at);
            let text = std::mem::take(&mut self.pending);
            return Filtered::Stopped {
                text,
                stop,
                dropped,
            };
        }
        let open = self.partial_match_len();
        let rest = self.pending.split_off(self.pending.len() - open);
        Filtered::Pass(std::mem::replace(&mut self.pending, rest))
    }

    /// The length of the pending text.
    pub(super) fn held(&self) -> usize {
        self.pending.len()
    }

    /// Returns the pending text at the end, when it can no longer start a stop sequence.
    pub(super) fn finish(&mut self) -> String {
        std::mem::take(&mut self.pending)
    }

    /// The length of the longest suffix of the text that is a prefix of a stop sequence.
    fn partial_match_len(&self) -> usize {
        let lengths = self
            .stops
            .iter()
            .map(|stop| partial_len(&self.pending, stop));
        lengths.max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};

    use super::*;

    /// The filtered text, and the stop sequence that ended it.
    fn run(stops: &[String], pieces: &[String]) -> (String, Option<String>) {
        let mut filter = StopFilter::new(stops.iter().cloned());
        let mut out = String::new();
        for piece in pieces {
            match filter.push(piece) {
                Filtered::Pass(text) => out.push_str(&text),
                Filtered::Stopped { text, stop, .. } => return (out + &text, Some(stop)),
            }
        }
        (out + &filter.finish(), None)
    }

    #[test]
    fn passes_everything_without_stop_sequences() {
        let mut filter = StopFilter::new([String::new()]);
        assert_eq!(filter.push("abc"), Filtered::Pass("abc".into()));
        assert_eq!(filter.finish(), "");
    }

    #[test]
    fn holds_back_only_a_possible_prefix() {
        let mut filter = StopFilter::new(["END".into()]);
        assert_eq!(filter.push("the E"), Filtered::Pass("the ".into()));
        assert_eq!(filter.push("N"), Filtered::Pass(String::new()));
        assert_eq!(filter.push("d EN"), Filtered::Pass("ENd ".into()));
        let stopped = Filtered::Stopped {
            text: String::new(),
            stop: "END".into(),
            dropped: 4,
        };
        assert_eq!(filter.push("D."), stopped);
    }

    #[test]
    fn the_split_does_not_change_the_result() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut word = |lengths: std::ops::Range<usize>| -> String {
            let length = random.random_range(lengths);
            (0..length)
                .map(|_| ['a', 'b', 'ß', '語'][random.random_range(0..4)])
                .collect()
        };
        for round in 0..5_000 {
            let stops: Vec<String> = (0..round % 4).map(|_| word(1..5)).collect();
            let pieces: Vec<String> = (0..round % 9).map(|_| word(0..6)).collect();
            let whole = pieces.concat();
            let (text, stop) = run(&stops, &pieces);

            assert_eq!(stop.is_some(), stops.iter().any(|s| whole.contains(s)));
            assert!(whole.starts_with(&text));
            assert!(stops.iter().all(|s| !text.contains(s)));
            if let Some(stop) = stop {
                // The position may depend on the split only if one stop sequence ends inside
                // another that starts earlier.
                assert!(whole[text.len()..].starts_with(&stop));
                assert!(stops.contains(&stop));
            } else {
                assert_eq!(text, whole);
            }
        }
    }
}
