//! Log probabilities of tokens.

use std::cmp::Ordering;

use super::token_table::TokenTable;
use crate::chat::{TokenLogprob, TopLogprob};

/// The log probability of a token, and those of the likeliest tokens at its position.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Logprobs {
    logprob: f64,
    /// The likeliest first.
    top: Vec<(u32, f64)>,
}

/// The lowest log probability, for tokens of probability zero; JSON has no infinity.
const MIN_LOGPROB: f64 = -9999.0;

impl Logprobs {
    /// Computes the log probability of `token` and those of the `count` likeliest tokens from the
    /// model's logits.
    pub(super) fn new(logits: &[f32], token: usize, count: usize) -> Self {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let max = f64::from(max);
        let sum: f64 = logits.iter().map(|&l| (f64::from(l) - max).exp()).sum();
        let normaliser = max + sum.ln();
        // `max` replaces NaN, too.
        let logprob = |logit: f32| (f64::from(logit) - normaliser).max(MIN_LOGPROB);

        let mut top: Vec<(u32, f32)> = (0..).zip(logits.iter().copied()).collect();
        let likeliest = |a: &(u32, f32), b: &(u32, f32)| -> Ordering {
            b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
        };
        if count < top.len() {
            top.select_nth_unstable_by(count, likeliest);
            top.truncate(count);
        }
        top.sort_unstable_by(likeliest);
        Self {
            logprob: logits.get(token).map_or(MIN_LOGPROB, |&l| logprob(l)),
            top: top.into_iter().map(|(id, l)| (id, logprob(l))).collect(),
        }
    }

    /// Adds the texts of the tokens.
    pub(super) fn with_texts(&self, token: u32, table: &TokenTable) -> TokenLogprob {
        let with_text = |token, logprob| {
            let bytes = table.bytes(token);
            TopLogprob {
                text: String::from_utf8_lossy(bytes).into_owned(),
                bytes: bytes.to_vec(),
                logprob,
            }
        };
        TokenLogprob {
            token: with_text(token, self.logprob),
            top: self.top.iter().map(|&(t, l)| with_text(t, l)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_log_of_the_softmax() {
        let logits = [0.0, 2.0, 1.0, -30.0];
        let logprobs = Logprobs::new(&logits, 2, 3);
        let sum: f64 = logits.iter().map(|&l| f64::from(l).exp()).sum();
        let expected = |l: f64| l - sum.ln();
        assert!((logprobs.logprob - expected(1.0)).abs() < 1e-9);
        let ids: Vec<u32> = logprobs.top.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, [1, 2, 0]);
        assert!((logprobs.top[0].1 - expected(2.0)).abs() < 1e-9);
    }

    #[test]
    fn is_always_a_number() {
        for logits in [
            [f32::NEG_INFINITY, 0.0],
            [f32::NAN, 1.0],
            [f32::INFINITY, 1.0],
            [f32::NEG_INFINITY, f32::NEG_INFINITY],
        ] {
            let logprobs = Logprobs::new(&logits, 0, 5);
            let all = logprobs.top.iter().map(|(_, l)| *l);
            for logprob in all.chain([logprobs.logprob]) {
                assert!(
                    (MIN_LOGPROB..=0.0).contains(&logprob),
                    "{logits:?}: {logprob}"
                );
            }
        }
    }

    #[test]
    fn zero_alternatives_are_none() {
        assert_eq!(Logprobs::new(&[1.0, 2.0], 0, 0).top, []);
        assert_eq!(Logprobs::new(&[1.0], 7, 1).logprob, MIN_LOGPROB);
    }
}
