//! What a request may come to, in tokens.

use stockade_core::Demand;

/// What a request may come to, in tokens, before anybody knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimate {
    /// For the answer, where the client sets no bound.
    pub(super) max_tokens: u32,
    /// For all of a request that says nothing of what it asks for.
    pub(super) flat: u32,
}

impl Default for Estimate {
    fn default() -> Self {
        Self {
            max_tokens: 4_096,
            flat: 1_000,
        }
    }
}

impl Estimate {
    pub(super) fn of(&self, demand: Option<&Demand>) -> u32 {
        let Some(demand) = demand else {
            return self.flat;
        };
        let answer = demand.max_tokens.unwrap_or(self.max_tokens.into());
        let tokens = demand.prompt_tokens.saturating_add(answer);
        // More than any quota holds.
        u32::try_from(tokens).unwrap_or(u32::MAX)
    }
}
