//! Upstreams: the servers that serve a model.

use std::{
    num::{NonZeroU8, NonZeroU16, NonZeroU32},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{UpstreamUrl, nonzero};

/// A server with an OpenAI-compatible API that serves a model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct UpstreamConfig {
    /// The base URL: `http://127.0.0.1:8000/v1`, `https://…`, or `unix:/run/vllm.sock:/v1`.
    pub url: UpstreamUrl,
    /// A file with the key that the upstream requires.
    pub api_key_file: Option<PathBuf>,
    /// The environment variable with the key that the upstream requires.
    pub api_key_env: Option<String>,
    /// The header for the key.
    #[serde(default)]
    pub api_key_header: ApiKeyHeader,
    /// The name of the model on the upstream; by default the name that the client sent.
    pub model: Option<String>,
    /// The share of requests relative to other upstreams of the same priority.
    #[serde(default = "one")]
    pub weight: NonZeroU32,
    /// Upstreams of the lowest number that has an available one are used.
    #[serde(default)]
    pub priority: u8,
    /// Use HTTP/2 without TLS; with TLS it is negotiated.
    #[serde(default)]
    pub http2: bool,
    /// PEM: certificates of the authority of the upstream, in addition to the public ones.
    pub ca_file: Option<PathBuf>,
}

fn one() -> NonZeroU32 {
    nonzero!(1)
}

impl UpstreamConfig {
    /// The server at this base URL, with default settings.
    pub fn new(url: UpstreamUrl) -> Self {
        Self {
            url,
            api_key_file: None,
            api_key_env: None,
            api_key_header: ApiKeyHeader::default(),
            model: None,
            weight: one(),
            priority: 0,
            http2: false,
            ca_file: None,
        }
    }

    /// Resolves relative paths against this folder.
    pub(crate) fn resolve_paths(&mut self, folder: &Path) {
        let files = [&mut self.api_key_file, &mut self.ca_file];
        for file in files.into_iter().flatten() {
            *file = folder.join(&*file);
        }
    }
}

/// The header for the key of an upstream.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum ApiKeyHeader {
    /// `Authorization: Bearer …`.
    #[default]
    Authorization,
    /// `x-api-key: …`.
    XApiKey,
}

/// `[upstreams]`: the settings of all upstreams.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct UpstreamsConfig {
    /// The hosts that upstreams may have, such as `gpu-1.internal`; an empty list allows all.
    pub allowed_hosts: Vec<String>,
    /// The timeout for a connection, including the TLS handshake.
    pub connect_timeout_secs: NonZeroU32,
    /// The timeout for the head of a response; `server.request_timeout_secs` also applies.
    pub first_byte_timeout_secs: NonZeroU32,
    /// The maximum time between two pieces of a response.
    pub idle_timeout_secs: NonZeroU32,
    /// The maximum size of a response in MiB.
    pub max_response_mb: NonZeroU16,
    /// The maximum number of retries of a request; 0 disables them.
    pub max_retries: u8,
    /// The maximum share of retries in percent of the requests.
    pub retry_budget_percent: u8,
    /// The path of health checks, relative to the base URL, or to the host if it starts with `/`.
    pub health_path: String,
    /// The interval of health checks; 0 disables them.
    pub health_interval_secs: u32,
    /// The number of consecutive failures that open the circuit breaker of an upstream.
    pub breaker_failures: NonZeroU8,
    /// How long the circuit breaker stays open at first; doubled for each failed trial.
    pub breaker_open_secs: NonZeroU32,
}

impl Default for UpstreamsConfig {
    fn default() -> Self {
        Self {
            allowed_hosts: Vec::new(),
            connect_timeout_secs: nonzero!(5),
            first_byte_timeout_secs: nonzero!(300),
            idle_timeout_secs: nonzero!(60),
            max_response_mb: nonzero!(32),
            max_retries: 2,
            retry_budget_percent: 20,
            health_path: "models".to_owned(),
            health_interval_secs: 10,
            breaker_failures: nonzero!(5),
            breaker_open_secs: nonzero!(5),
        }
    }
}
