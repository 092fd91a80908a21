//! The tower layer.

use std::fmt;

use stockade_core::{
    guard::{GuardLayer, Guarded},
    llm::ModelRequest,
    refusal::Responder,
};
use tower_layer::Layer;

use super::TokenBudget;
use crate::{LimitStore, MemoryLimitStore, SharedLimits};

/// The tower layer of a [`TokenBudget`], with its options.
///
/// ```
/// use stockade_rate_limit::{KeyExtractor, Limit, Limits, Quota, TokenBudgetLayer};
///
/// let limit = Limit::new("tokens", KeyExtractor::principal()).quota(Quota::per_minute(100_000));
/// let layer = TokenBudgetLayer::new(Limits::new([limit])?).max_tokens(1_024).openai_headers();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TokenBudgetLayer<S = MemoryLimitStore>(GuardLayer<TokenBudget<S>>);

impl TokenBudgetLayer {
    /// Creates a layer that counts in the memory of this process.
    pub fn new(limits: impl Into<SharedLimits>) -> Self {
        Self::from(TokenBudget::new(limits))
    }
}

impl<S> TokenBudgetLayer<S>
where
    S: LimitStore,
{
    /// Creates a layer that counts in this store.
    pub fn with_store(limits: impl Into<SharedLimits>, store: S) -> Self {
        Self::from(TokenBudget::with_store(limits, store))
    }

    /// See [`TokenBudget::max_tokens`].
    pub fn max_tokens(self, tokens: u32) -> Self {
        Self(self.0.map(|guard| guard.max_tokens(tokens)))
    }

    /// See [`TokenBudget::max_tokens_by`].
    pub fn max_tokens_by<F>(self, tokens: F) -> Self
    where
        F: Fn(&ModelRequest) -> Option<u32> + Send + Sync + 'static,
    {
        Self(self.0.map(|guard| guard.max_tokens_by(tokens)))
    }

    /// See [`TokenBudget::default_cost`].
    pub fn default_cost(self, tokens: u32) -> Self {
        Self(self.0.map(|guard| guard.default_cost(tokens)))
    }

    /// See [`TokenBudget::openai_headers`].
    pub fn openai_headers(self) -> Self {
        Self(self.0.map(TokenBudget::openai_headers))
    }

    /// Sends refusals with this responder.
    pub fn responder(self, responder: Responder) -> Self {
        Self(self.0.responder(responder))
    }
}

impl<S> From<TokenBudget<S>> for TokenBudgetLayer<S>
where
    S: LimitStore,
{
    fn from(guard: TokenBudget<S>) -> Self {
        Self(GuardLayer::new(guard))
    }
}

impl<S, I> Layer<I> for TokenBudgetLayer<S> {
    type Service = Guarded<I, TokenBudget<S>>;

    fn layer(&self, inner: I) -> Self::Service {
        self.0.layer(inner)
    }
}

impl<S> Clone for TokenBudgetLayer<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> fmt::Debug for TokenBudgetLayer<S>
where
    S: LimitStore,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenBudgetLayer")
            .field(self.0.guard())
            .finish()
    }
}
