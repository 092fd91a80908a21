//! The APIs that a relay can pass on.

use stockade_server_config::ApiConfig;

/// An API of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayApi {
    /// `/chat/completions`.
    Chat,
    /// `/completions`.
    Completions,
    /// `/embeddings`.
    Embeddings,
    /// `/messages`.
    Messages,
    /// `/messages/count_tokens`.
    CountTokens,
    /// `/rerank`.
    Rerank,
    /// `/responses`.
    Responses,
    /// `/tokenize`.
    Tokenize,
}

impl RelayApi {
    /// The setting that declares the API.
    pub(crate) fn setting(self) -> ApiConfig {
        match self {
            Self::Chat => ApiConfig::Chat,
            Self::Completions => ApiConfig::Completions,
            Self::Embeddings => ApiConfig::Embeddings,
            Self::Messages | Self::CountTokens => ApiConfig::Messages,
            Self::Rerank => ApiConfig::Rerank,
            Self::Responses => ApiConfig::Responses,
            Self::Tokenize => ApiConfig::Tokenize,
        }
    }

    /// The path below the base URL of the upstream.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::Messages => "/messages",
            Self::CountTokens => "/messages/count_tokens",
            Self::Rerank => "/rerank",
            Self::Responses => "/responses",
            Self::Tokenize => "/tokenize",
        }
    }

    /// Whether the path is relative to the host, and not to the base URL.
    pub(crate) fn is_at_root(self) -> bool {
        self == Self::Tokenize
    }

    /// Whether the model works for a request, which is then charged.
    pub(super) fn is_charged(self) -> bool {
        !matches!(self, Self::CountTokens | Self::Tokenize)
    }

    /// Whether streams report their usage only if `stream_options` asks for it.
    pub(super) fn has_stream_options(self) -> bool {
        matches!(self, Self::Chat | Self::Completions)
    }
}
