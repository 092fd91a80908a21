//! The estimated token usage of a request.

use stockade_core::llm::{ModelRequest, TokenUsage};

/// Estimates the token usage of a request before it runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimate {
    /// The completion, if the client sets no bound.
    pub(super) max_tokens: u32,
    /// The whole request, if it has no model request.
    pub(super) default_cost: u32,
}

impl Default for Estimate {
    fn default() -> Self {
        Self {
            max_tokens: 4_096,
            default_cost: 1_000,
        }
    }
}

impl Estimate {
    pub(super) fn of(&self, demand: Option<&ModelRequest>) -> TokenUsage {
        let (prompt, answer) = match demand {
            Some(demand) => (demand.prompt_tokens, demand.max_tokens),
            None => (self.default_cost.into(), Some(0)),
        };
        TokenUsage {
            prompt_tokens: prompt,
            completion_tokens: answer.unwrap_or(self.max_tokens.into()),
        }
    }
}

/// The sum of prompt and completion tokens.
pub(super) fn total(usage: TokenUsage) -> u64 {
    usage.prompt_tokens.saturating_add(usage.completion_tokens)
}
