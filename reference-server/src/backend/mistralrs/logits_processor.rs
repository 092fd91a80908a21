//! A logits processor that samples and counts the tokens of a generation, and can stop it.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use mistralrs::{CustomLogitsProcessor, Tensor};

use super::{Usage, UsageMeter, sampler::Sampler};

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

    pub(super) fn contains(&self, token: u32) -> bool {
        self.0.contains(&token)
    }
}

/// The logits processor of a request. It samples the token itself and masks all others, so that
/// the engine's greedy choice is this token.
pub(super) struct LogitsProcessor {
    sampler: Sampler,
    eos_tokens: EosTokens,
    max: usize,
    ending: AtomicBool,
    progress: Mutex<Progress>,
    meter: UsageMeter,
    /// The number of prompt tokens for the meter, if an earlier attempt has determined it.
    prompt: Option<usize>,
}

/// The engine's progress.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// The number of prompt tokens, including image tokens; 0 before the first token.
    pub(super) prompt: usize,
    /// The number of generated tokens, including those of earlier attempts.
    pub(super) generated: usize,
    /// The first token of this attempt.
    pub(super) first: Option<u32>,
    /// The latest token.
    pub(super) last: Option<u32>,
}

impl LogitsProcessor {
    /// Creates the processor of a generation that already has `generated` of at most `max` tokens.
    pub(super) fn new(
        sampler: Sampler,
        eos_tokens: &EosTokens,
        generated: usize,
        max: usize,
    ) -> Self {
        Self {
            sampler,
            eos_tokens: eos_tokens.clone(),
            max,
            ending: AtomicBool::new(false),
            progress: Mutex::new(Progress {
                generated,
                ..Progress::default()
            }),
            meter: UsageMeter::default(),
            prompt: None,
        }
    }

    /// Reports each token to a meter. Without `prompt`, the number of prompt tokens is taken from
    /// the first token of this attempt.
    pub(super) fn metered(self, meter: UsageMeter, prompt: Option<usize>) -> Self {
        Self {
            meter,
            prompt,
            ..self
        }
    }

    /// Makes the next token the end token.
    pub(super) fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    pub(super) fn progress(&self) -> Progress {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn choose(&self, logits: &[f32], context: &[u32]) -> usize {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let ending = self.ending.load(Ordering::Relaxed);
        let token = if ending {
            self.eos_tokens.primary()
        } else {
            let position = u64::try_from(progress.generated).unwrap_or(u64::MAX);
            progress.generated += 1;
            let token = self.sampler.sample(logits, position);
            let token = u32::try_from(token).unwrap_or(self.eos_tokens.primary());
            // Fault 9 in `quirks`: later tokens are not part of the output.
            if self.eos_tokens.contains(token) || progress.generated >= self.max {
                self.end();
            }
            token
        };
        if progress.first.is_none() {
            progress.prompt = context.len();
            progress.first = Some(token);
        }
        progress.last = Some(token);
        if !ending {
            let prompt = self.prompt.unwrap_or(progress.prompt);
            self.meter.report(Usage::new(prompt, progress.generated));
        }
        usize::try_from(token).unwrap_or(usize::MAX)
    }
}

impl CustomLogitsProcessor for LogitsProcessor {
    fn apply(&self, logits: &Tensor, context: &[u32]) -> mistralrs::Result<Tensor> {
        let mut values: Vec<f32> = logits.to_vec1()?;
        let token = self.choose(&values, context);
        values.fill(f32::MIN);
        if let Some(chosen) = values.get_mut(token) {
            *chosen = 1.0;
        }
        let size = values.len();
        Tensor::from_vec(values, size, logits.device())
    }
}
