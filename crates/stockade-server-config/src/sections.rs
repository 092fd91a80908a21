//! The sections of the configuration file.

use std::{
    net::SocketAddr,
    num::{NonZeroU16, NonZeroU32},
    path::PathBuf,
};

use serde::Deserialize;

/// A non-zero literal.
macro_rules! nonzero {
    ($number:literal) => {
        const { std::num::NonZero::new($number).expect("a literal over zero") }
    };
}

/// `[server]`: the listener and its limits.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The address to listen on.
    #[serde(deserialize_with = "crate::listen::deserialize")]
    pub listen: SocketAddr,
    /// The timeout for a request, from its head to the end of its response.
    pub request_timeout_secs: NonZeroU32,
    /// The timeout for a TLS handshake, and for receiving the head of a request.
    pub header_timeout_secs: NonZeroU32,
    /// The timeout for receiving the body of a request.
    pub body_timeout_secs: NonZeroU32,
    /// How long responses may continue after the signal to stop.
    pub shutdown_grace_secs: u32,
    /// The maximum size of a body in MiB. Images are part of it, and a third larger as base64.
    pub max_body_mb: NonZeroU16,
    /// The maximum number of concurrent connections; further ones wait. Lowered at the start
    /// if the process may not open that many files.
    pub max_connections: NonZeroU32,
    /// The handling of unknown fields of a chat.
    pub unknown_fields: UnknownFields,
    /// The hosts to serve, such as `api.example.com` or `localhost:8000`; an empty list means
    /// all hosts. An entry without a port matches all ports.
    pub hosts: Vec<String>,
    /// How long reloading the keys may fail before `/health/ready` responds with 503; 0 means
    /// no limit.
    pub stale_keys_timeout_secs: u32,
    /// The TLS certificate; without one the server uses plain HTTP.
    pub tls: Option<TlsConfig>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            request_timeout_secs: nonzero!(300),
            header_timeout_secs: nonzero!(10),
            body_timeout_secs: nonzero!(30),
            shutdown_grace_secs: 30,
            max_body_mb: nonzero!(20),
            max_connections: nonzero!(1_024),
            unknown_fields: UnknownFields::Refuse,
            hosts: Vec::new(),
            stale_keys_timeout_secs: 300,
            tls: None,
        }
    }
}

/// The handling of unknown fields of a chat and its messages.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum UnknownFields {
    /// Refuse the chat.
    #[default]
    Refuse,
    /// Ignore the fields, and list them in the response header `x-stockade-ignored`.
    Ignore,
}

/// `[server.tls]`: the server's certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsConfig {
    /// PEM: the server's certificate, followed by its intermediate certificates.
    pub certificate_file: PathBuf,
    /// PEM: the private key, as PKCS#8, PKCS#1 or SEC1 and without a passphrase.
    pub key_file: PathBuf,
    /// The `max-age` of the header `Strict-Transport-Security` in seconds; 0 omits the header.
    #[serde(default = "TlsConfig::hsts_secs")]
    pub hsts_secs: u32,
}

impl TlsConfig {
    /// The certificate and key in these files, with default settings.
    pub fn new(certificate_file: impl Into<PathBuf>, key_file: impl Into<PathBuf>) -> Self {
        Self {
            certificate_file: certificate_file.into(),
            key_file: key_file.into(),
            hsts_secs: Self::hsts_secs(),
        }
    }

    fn hsts_secs() -> u32 {
        365 * 24 * 60 * 60
    }
}

/// `[model]`: the model and its limits.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ModelConfig {
    /// A directory with the weights, or a repository on the Hugging Face hub (`owner/name`). A
    /// relative directory starts with `./` or `../`.
    #[serde(deserialize_with = "crate::source::deserialize")]
    pub source: String,
    /// The name of the model in the API; by default the name of the directory or repository.
    pub name: Option<String>,
    /// The device that runs the model.
    #[serde(default)]
    pub device: DeviceConfig,
    /// The quantisation of the weights at load time.
    pub quantise: Option<QuantiseConfig>,
    /// The maximum number of concurrent chats.
    #[serde(default = "ModelConfig::max_running")]
    pub max_running: NonZeroU16,
    /// The maximum number of chats in the queue; further ones are refused.
    #[serde(default = "ModelConfig::max_queued")]
    pub max_queued: u16,
    /// The maximum time in the queue.
    #[serde(default = "ModelConfig::queue_wait_secs")]
    pub queue_wait_secs: u32,
    /// The maximum side of an image in pixels; larger images are scaled down for the model.
    #[serde(default = "ModelConfig::max_image_side")]
    pub max_image_side: NonZeroU16,
    /// The default for `max_tokens` of a chat.
    #[serde(default = "ModelConfig::default_max_tokens")]
    pub default_max_tokens: NonZeroU32,
    /// The maximum for `max_tokens` of a chat.
    #[serde(default = "ModelConfig::max_tokens_limit")]
    pub max_tokens_limit: NonZeroU32,
}

impl ModelConfig {
    /// The model from this source, with default settings.
    pub fn new(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            name: None,
            device: DeviceConfig::default(),
            quantise: None,
            max_running: Self::max_running(),
            max_queued: Self::max_queued(),
            queue_wait_secs: Self::queue_wait_secs(),
            max_image_side: Self::max_image_side(),
            default_max_tokens: Self::default_max_tokens(),
            max_tokens_limit: Self::max_tokens_limit(),
        }
    }

    fn max_running() -> NonZeroU16 {
        nonzero!(8)
    }

    fn max_queued() -> u16 {
        32
    }

    fn queue_wait_secs() -> u32 {
        30
    }

    fn max_image_side() -> NonZeroU16 {
        nonzero!(1_440)
    }

    fn default_max_tokens() -> NonZeroU32 {
        nonzero!(256)
    }

    fn max_tokens_limit() -> NonZeroU32 {
        nonzero!(8_192)
    }
}

/// A device that runs a model.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum DeviceConfig {
    /// The first GPU if the build supports CUDA and the machine has one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
}

/// A quantisation of the weights.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum QuantiseConfig {
    /// 8 bits per weight.
    Q8,
    /// About 4.5 bits per weight.
    Q4,
}

/// `[log]`: the log on standard error.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LogConfig {
    /// The format of log lines.
    pub format: LogFormat,
    /// The minimum level of log lines.
    pub level: LogLevel,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object per line.
    #[default]
    Json,
    /// Text for a terminal.
    Text,
}

/// The level of log lines.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Failures.
    Error,
    /// Failures and warnings.
    Warn,
    /// Also requests, and changes of the server's state.
    #[default]
    Info,
    /// Also details for debugging.
    Debug,
}
