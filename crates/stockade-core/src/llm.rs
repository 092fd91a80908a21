//! What a request asks of a language model, and the tokens that it used.

mod model_request;
mod model_response;
mod prompt_digest;
mod usage;

pub use model_request::ModelRequest;
pub use model_response::ModelResponse;
pub use prompt_digest::PromptDigest;
pub use usage::TokenUsage;
pub(crate) use usage::UsageCell;
