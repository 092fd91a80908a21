//! The operator's limits for chats.

use stockade_core::refusal::Refusal;

use super::refusals::invalid;
use crate::{StartError, config::ModelConfig};

/// The operator's limits for chats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChatLimits {
    /// The number of tokens for chats that set none.
    pub(crate) default_max_tokens: usize,
    /// The maximum number of tokens that a chat may request.
    pub(crate) max_tokens: usize,
}

impl ChatLimits {
    /// The limits of a model.
    ///
    /// # Errors
    /// Returns an error if the default exceeds the maximum.
    pub(crate) fn new(model: &ModelConfig) -> Result<Self, StartError> {
        let limit = model.max_tokens_limit.get();
        let default = model.default_max_tokens.get();
        if default > limit {
            return Err(StartError::new(format!(
                "the model {:?}: default_max_tokens is greater than max_tokens_limit: lower the \
                 first or raise the second",
                model.api_name()
            )));
        }
        let tokens = |count| usize::try_from(count).unwrap_or(usize::MAX);
        Ok(Self {
            default_max_tokens: tokens(default),
            max_tokens: tokens(limit),
        })
    }

    /// The maximum number of tokens of a request, which asks for it in the field `param`.
    ///
    /// # Errors
    /// Returns a refusal if it is 0 or exceeds the limit.
    pub(super) fn max_tokens(self, param: &str, asked: Option<u64>) -> Result<usize, Refusal> {
        let Some(asked) = asked else {
            return Ok(self.default_max_tokens);
        };
        match usize::try_from(asked) {
            Ok(asked) if (1..=self.max_tokens).contains(&asked) => Ok(asked),
            _ => Err(invalid(
                param,
                format!("it must be from 1 to {}", self.max_tokens),
            )),
        }
    }
}
