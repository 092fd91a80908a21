//! A logits processor that samples and counts the tokens of a generation, and can stop it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use mistralrs::{CustomLogitsProcessor, Tensor};

use super::{
    Usage, UsageMeter,
    grammar::{Grammar, GrammarError},
    logit_bias::{LogitBias, TokenHistory},
    logprobs::Logprobs,
    sampler::Sampler,
};

/// The tokens that end a generation.
#[derive(Clone, Debug)]
pub(super) struct EosTokens(Arc<[u32]>);

impl EosTokens {
    pub(super) fn new(primary: u32, more: &[u32]) -> Self {
        Self([&[primary], more].concat().into())
    }

    fn primary(&self) -> u32 {
        self.0[0]
    }

    /// The tokens with an id below `size`; the primary one first.
    pub(super) fn within(&self, size: u32) -> Vec<u32> {
        self.0.iter().copied().filter(|id| *id < size).collect()
    }

    pub(super) fn contains(&self, token: u32) -> bool {
        self.0.contains(&token)
    }
}

/// The logits processor of a generation. It samples the token itself and masks all others, so that
/// the engine's greedy choice is this token.
pub(super) struct LogitsProcessor {
    sampler: Sampler,
    bias: LogitBias,
    eos_tokens: EosTokens,
    max: usize,
    ending: AtomicBool,
    state: Mutex<State>,
    meter: UsageMeter,
    /// The completion tokens of earlier choices, for the meter.
    earlier: usize,
    /// The number of alternatives to report for each token.
    top_logprobs: Option<usize>,
}

/// A token of the output.
#[derive(Clone, Debug)]
pub(super) struct SampledToken {
    pub(super) token: u32,
    /// By the model's own distribution, at temperature 1 and without bias.
    pub(super) logprobs: Option<Logprobs>,
}

/// What changes with each token.
#[derive(Default)]
struct State {
    progress: Progress,
    history: TokenHistory,
    grammar: Option<Grammar>,
    /// Why the grammar cannot continue.
    grammar_error: Option<GrammarError>,
    /// The tokens that have not been taken.
    sampled: Vec<SampledToken>,
}

/// The engine's progress.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// The number of prompt tokens, including image tokens; 0 before the first token.
    pub(super) prompt: usize,
    /// The number of generated tokens, including those of earlier attempts.
    pub(super) generated: usize,
    /// The latest token.
    pub(super) last: Option<u32>,
}

impl LogitsProcessor {
    /// Creates the processor of a generation of at most `max` tokens.
    pub(super) fn new(
        sampler: Sampler,
        bias: LogitBias,
        eos_tokens: &EosTokens,
        max: usize,
    ) -> Self {
        Self {
            sampler,
            bias,
            eos_tokens: eos_tokens.clone(),
            max,
            ending: AtomicBool::new(false),
            state: Mutex::default(),
            meter: UsageMeter::default(),
            earlier: 0,
            top_logprobs: None,
        }
    }

    /// Reports each token to a meter, in addition to the completion tokens of `earlier` choices.
    pub(super) fn metered(self, meter: UsageMeter, earlier: usize) -> Self {
        Self {
            meter,
            earlier,
            ..self
        }
    }

    /// Computes log probabilities, with this number of alternatives for each token.
    pub(super) fn with_logprobs(self, top: Option<u8>) -> Self {
        Self {
            top_logprobs: top.map(usize::from),
            ..self
        }
    }

    /// Restricts the text to a grammar.
    pub(super) fn with_grammar(self, grammar: Option<Grammar>) -> Self {
        self.state().grammar = grammar;
        self
    }

    /// Makes the next token the end token.
    pub(super) fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    pub(super) fn progress(&self) -> Progress {
        self.state().progress
    }

    /// Takes the tokens since the last call, without end tokens.
    pub(super) fn take_sampled(&self) -> Vec<SampledToken> {
        std::mem::take(&mut self.state().sampled)
    }

    /// Removes the last tokens from the text of the grammar; another attempt generates them again.
    pub(super) fn rollback(&self, count: usize) {
        let mut state = self.state();
        let rolled_back = state.grammar.as_mut().map(|g| g.rollback(count));
        state.grammar_error = rolled_back.and_then(Result::err);
    }

    /// Why the text was ended before it matched the grammar.
    pub(super) fn grammar_error(&self) -> Option<GrammarError> {
        self.state().grammar_error.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Chooses the next token; `context` are the tokens before it.
    fn choose(&self, logits: &mut [f32], context: &[u32]) -> usize {
        let mut state = self.state();
        let State {
            progress,
            history,
            grammar,
            grammar_error,
            sampled,
        } = &mut *state;
        if progress.prompt == 0 {
            progress.prompt = context.len();
            if self.bias.needs_history() {
                history.add_prompt(context);
            }
        }
        let model_logits = self.top_logprobs.map(|top| (logits.to_vec(), top));
        if let Some(grammar) = grammar
            && let Err(error) = grammar.mask(logits)
        {
            *grammar_error = Some(error);
            self.end();
        }
        let ending = self.ending.load(Ordering::Relaxed);
        let token = if ending {
            self.eos_tokens.primary()
        } else {
            let position = u64::try_from(progress.generated).unwrap_or(u64::MAX);
            progress.generated += 1;
            self.bias.apply(logits, history);
            let index = self.sampler.sample(logits, position);
            let token = u32::try_from(index).unwrap_or(self.eos_tokens.primary());
            if !self.eos_tokens.contains(token) {
                let logprobs = |(logits, top): (Vec<f32>, _)| Logprobs::new(&logits, index, top);
                let logprobs = model_logits.map(logprobs);
                sampled.push(SampledToken { token, logprobs });
            }
            if self.bias.needs_history() {
                history.add_output(token);
            }
            match grammar.as_mut().map(|grammar| grammar.advance(token)) {
                None | Some(Ok(false)) => {}
                Some(Ok(true)) => self.end(),
                Some(Err(error)) => {
                    *grammar_error = Some(error);
                    self.end();
                }
            }
            // Fault 9 in `quirks`: later tokens are not part of the output.
            if self.eos_tokens.contains(token) || progress.generated >= self.max {
                self.end();
            }
            token
        };
        progress.last = Some(token);
        if !ending {
            let completion = self.earlier + progress.generated;
            self.meter.report(Usage::new(progress.prompt, completion));
        }
        usize::try_from(token).unwrap_or(usize::MAX)
    }
}

impl CustomLogitsProcessor for LogitsProcessor {
    fn apply(&self, logits: &Tensor, context: &[u32]) -> mistralrs::Result<Tensor> {
        let mut values: Vec<f32> = logits.to_vec1()?;
        let token = self.choose(&mut values, context);
        values.fill(f32::MIN);
        if let Some(chosen) = values.get_mut(token) {
            *chosen = 1.0;
        }
        let size = values.len();
        Tensor::from_vec(values, size, logits.device())
    }
}
