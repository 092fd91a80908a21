//! What a request may come to, in tokens.

use stockade_core::llm::{ModelRequest, TokenUsage};

/// What a request may come to, in tokens, before anybody knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimate {
    /// For the answer, where the client sets no bound.
    pub(super) max_tokens: u32,
    /// For all of a request that says nothing of what it asks for.
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

/// All tokens together.
pub(super) fn total(usage: TokenUsage) -> u64 {
    usage.prompt_tokens.saturating_add(usage.completion_tokens)
}
