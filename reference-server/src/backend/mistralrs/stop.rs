//! Ends an answer before the first stop string, however the text was cut into pieces.

/// Holds back the end of the text while it could be the start of a stop string.
#[derive(Debug, Default)]
pub(super) struct StopFilter {
    stops: Vec<String>,
    held: String,
}

/// What may go out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// This much, perhaps nothing; there may be more.
    Open(String),
    /// This much, then nothing more: a stop string follows.
    Stopped(String),
}

impl StopFilter {
    /// Empty strings among `stops` are ignored.
    pub(super) fn new(stops: impl IntoIterator<Item = String>) -> Self {
        Self {
            stops: stops.into_iter().filter(|s| !s.is_empty()).collect(),
            held: String::new(),
        }
    }

    /// Takes the next piece of text.
    pub(super) fn push(&mut self, piece: &str) -> Passed {
        self.held.push_str(piece);
        let first = self.stops.iter().filter_map(|s| self.held.find(s)).min();
        if let Some(at) = first {
            self.held.truncate(at);
            return Passed::Stopped(std::mem::take(&mut self.held));
        }
        let open = self.open_tail();
        let rest = self.held.split_off(self.held.len() - open);
        Passed::Open(std::mem::replace(&mut self.held, rest))
    }

    /// What was held back: the text has ended, so it starts no stop string.
    pub(super) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// The length of the longest end of the text that starts a stop string.
    fn open_tail(&self) -> usize {
        let prefixes = self.stops.iter().flat_map(|stop| {
            let lengths = stop.char_indices().map(|(at, _)| at);
            lengths.filter(|&at| self.held.ends_with(&stop[..at]))
        });
        prefixes.max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};

    use super::*;

    /// The text that comes out, and whether it was stopped.
    fn run(stops: &[String], pieces: &[String]) -> (String, bool) {
        let mut filter = StopFilter::new(stops.iter().cloned());
        let mut out = String::new();
        for piece in pieces {
            match filter.push(piece) {
                Passed::Open(text) => out.push_str(&text),
                Passed::Stopped(text) => return (out + &text, true),
            }
        }
        (out + &filter.finish(), false)
    }

    #[test]
    fn passes_all_without_stops() {
        let mut filter = StopFilter::new([String::new()]);
        assert_eq!(filter.push("abc"), Passed::Open("abc".into()));
        assert_eq!(filter.finish(), "");
    }

    #[test]
    fn holds_back_only_what_could_start_a_stop() {
        let mut filter = StopFilter::new(["END".into()]);
        assert_eq!(filter.push("the E"), Passed::Open("the ".into()));
        assert_eq!(filter.push("N"), Passed::Open(String::new()));
        assert_eq!(filter.push("d EN"), Passed::Open("ENd ".into()));
        assert_eq!(filter.push("D."), Passed::Stopped(String::new()));
    }

    #[test]
    fn any_cut_gives_what_the_whole_text_gives() {
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
            let (text, stopped) = run(&stops, &pieces);

            assert_eq!(stopped, stops.iter().any(|s| whole.contains(s)));
            assert!(whole.starts_with(&text));
            assert!(stops.iter().all(|s| !text.contains(s)));
            if stopped {
                // What follows a stop may depend on the cut only where one stop string
                // ends inside another that began earlier.
                assert!(stops.iter().any(|s| whole[text.len()..].starts_with(s)));
            } else {
                assert_eq!(text, whole);
            }
        }
    }
}
