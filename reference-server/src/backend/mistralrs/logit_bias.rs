//! Adjusts logits before sampling: the bias of single tokens, and penalties for repetition.
//!
//! The order is vLLM's: bias, repetition penalty, then frequency and presence penalty.

use std::collections::{HashMap, HashSet};

use crate::chat::Sampling;

/// The tokens that the penalties refer to.
#[derive(Clone, Debug, Default)]
pub(super) struct TokenHistory {
    prompt: HashSet<u32>,
    /// The number of occurrences of each token of the output.
    output: HashMap<u32, u32>,
}

impl TokenHistory {
    /// Adds the tokens of the prompt.
    pub(super) fn add_prompt(&mut self, tokens: &[u32]) {
        self.prompt.extend(tokens);
    }

    /// Adds a token of the output.
    pub(super) fn add_output(&mut self, token: u32) {
        *self.output.entry(token).or_default() += 1;
    }
}

/// The bias and the penalties of a request.
#[derive(Clone, Debug)]
pub(super) struct LogitBias {
    bias: Vec<(u32, f32)>,
    repetition: f32,
    frequency: f32,
    presence: f32,
}

impl LogitBias {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "logits have this precision"
    )]
    pub(super) fn new(sampling: &Sampling) -> Self {
        let bias = sampling.logit_bias.iter();
        Self {
            bias: bias.map(|&(token, bias)| (token, bias as f32)).collect(),
            repetition: sampling.repetition_penalty.unwrap_or(1.0) as f32,
            frequency: sampling.frequency_penalty.unwrap_or(0.0) as f32,
            presence: sampling.presence_penalty.unwrap_or(0.0) as f32,
        }
    }

    /// Whether the logits depend on the tokens so far.
    pub(super) fn needs_history(&self) -> bool {
        self.repetition != 1.0 || self.frequency != 0.0 || self.presence != 0.0
    }

    /// Adjusts the logits of the next token. Ids outside of the vocabulary are ignored.
    pub(super) fn apply(&self, logits: &mut [f32], history: &TokenHistory) {
        for &(token, bias) in &self.bias {
            adjust(logits, token, |logit| logit + bias);
        }
        if self.repetition != 1.0 {
            let repeated = history
                .output
                .keys()
                .filter(|t| !history.prompt.contains(t));
            for &token in history.prompt.iter().chain(repeated) {
                adjust(logits, token, |logit| {
                    if logit > 0.0 {
                        logit / self.repetition
                    } else {
                        logit * self.repetition
                    }
                });
            }
        }
        if self.frequency != 0.0 || self.presence != 0.0 {
            for (&token, &count) in &history.output {
                #[expect(clippy::cast_precision_loss, reason = "counts are below 2^24")]
                let penalty = self.frequency * count as f32 + self.presence;
                adjust(logits, token, |logit| logit - penalty);
            }
        }
    }
}

fn adjust(logits: &mut [f32], token: u32, change: impl FnOnce(f32) -> f32) {
    let logit = usize::try_from(token)
        .ok()
        .and_then(|at| logits.get_mut(at));
    if let Some(logit) = logit {
        *logit = change(*logit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(prompt: &[u32], output: &[u32]) -> TokenHistory {
        let mut history = TokenHistory::default();
        history.add_prompt(prompt);
        output.iter().for_each(|&token| history.add_output(token));
        history
    }

    fn applied(sampling: &Sampling, history: &TokenHistory) -> [f32; 4] {
        let mut logits = [1.0, 2.0, -1.0, 0.0];
        LogitBias::new(sampling).apply(&mut logits, history);
        logits
    }

    #[test]
    fn nothing_changes_by_default() {
        let logits = applied(&Sampling::default(), &history(&[0, 1], &[2]));
        assert_eq!(logits, [1.0, 2.0, -1.0, 0.0]);
        assert!(!LogitBias::new(&Sampling::default()).needs_history());
    }

    #[test]
    fn frequency_counts_and_presence_does_not_and_both_ignore_the_prompt() {
        let history = history(&[0, 0], &[1, 1, 3]);
        let frequency = Sampling {
            frequency_penalty: Some(0.5),
            ..Sampling::default()
        };
        assert_eq!(applied(&frequency, &history), [1.0, 1.0, -1.0, -0.5]);
        let presence = Sampling {
            presence_penalty: Some(-2.0),
            ..Sampling::default()
        };
        assert_eq!(applied(&presence, &history), [1.0, 4.0, -1.0, 2.0]);
    }

    #[test]
    fn repetition_applies_once_to_prompt_and_output() {
        let sampling = Sampling {
            repetition_penalty: Some(2.0),
            ..Sampling::default()
        };
        let logits = applied(&sampling, &history(&[0, 2], &[0, 1, 1]));
        assert_eq!(logits, [0.5, 1.0, -2.0, 0.0]);
    }

    #[test]
    fn bias_is_added_and_unknown_ids_are_ignored() {
        let sampling = Sampling {
            logit_bias: vec![(1, -100.0), (3, 5.0), (4, 1.0), (u32::MAX, 1.0)],
            ..Sampling::default()
        };
        let logits = applied(&sampling, &TokenHistory::default());
        assert_eq!(logits, [1.0, -98.0, -1.0, 5.0]);
    }
}
