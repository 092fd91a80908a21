//! The sections of the configuration file.

use std::{
    net::SocketAddr,
    num::{NonZeroU16, NonZeroU32},
    path::PathBuf,
};

use serde::Deserialize;

/// A number that the compiler sees not to be zero.
macro_rules! nonzero {
    ($number:literal) => {
        const { std::num::NonZero::new($number).expect("a literal over zero") }
    };
}

/// `[server]`: the listener and its limits.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// The address to listen on.
    #[serde(deserialize_with = "crate::listen::deserialize")]
    pub listen: SocketAddr,
    /// The longest time from a request's head to the end of its answer.
    pub request_timeout_secs: NonZeroU32,
    /// The longest time in which a client may shake hands, where there is TLS, and then the
    /// longest one in which it may send a request's head.
    pub header_timeout_secs: NonZeroU32,
    /// The longest time in which a client may send a request's body.
    pub body_timeout_secs: NonZeroU32,
    /// How long answers may go on after the signal to stop.
    pub shutdown_grace_secs: u32,
    /// The largest body, in MiB. Images travel within it, a third larger as base64.
    pub max_body_mb: NonZeroU16,
    /// Connections at the same time; further ones wait. Lowered at the start where the
    /// process may not open that many files.
    pub max_connections: NonZeroU32,
    /// What becomes of fields of a chat that are not known.
    pub unknown_fields: UnknownFields,
    /// The hosts that are served, such as `api.example.com` or `localhost:8000`; all of them
    /// where there are none. An entry without a port stands for all ports.
    pub hosts: Vec<String>,
    /// How long the keys may fail to be read again before `/health/ready` answers 503; 0 is no
    /// bound.
    pub stale_keys_timeout_secs: u32,
    /// The certificate; without one the server speaks plain HTTP.
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

/// What becomes of fields of a chat, and of its messages, that are not known.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum UnknownFields {
    /// The chat is refused.
    #[default]
    Refuse,
    /// They are ignored, and named in the response header `x-stockade-ignored`.
    Ignore,
}

/// `[server.tls]`: the certificate that clients are shown, and its key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM: the server's own certificate, then those that it is signed by.
    pub certificate_file: PathBuf,
    /// PEM: the private key, as PKCS#8, PKCS#1 or SEC1 and without a passphrase.
    pub key_file: PathBuf,
    /// For how many seconds browsers that were here once come back over TLS only
    /// (`Strict-Transport-Security`); 0 does not say so.
    #[serde(default = "TlsConfig::hsts_secs")]
    pub hsts_secs: u32,
}

impl TlsConfig {
    fn hsts_secs() -> u32 {
        365 * 24 * 60 * 60
    }
}

/// `[model]`: which model, and how much of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// A directory with the weights, or a repository of the Hugging Face hub
    /// (`owner/name`). A relative directory begins with `./` or `../`.
    #[serde(deserialize_with = "crate::source::deserialize")]
    pub source: String,
    /// The name clients use; the directory's name or the repository by default.
    pub name: Option<String>,
    /// What it runs on.
    #[serde(default)]
    pub device: DeviceConfig,
    /// Shrinks the weights while loading.
    pub quantise: Option<QuantiseConfig>,
    /// Chats answered at the same time.
    #[serde(default = "ModelConfig::max_running")]
    pub max_running: NonZeroU16,
    /// Chats that may wait; one more is refused at once.
    #[serde(default = "ModelConfig::max_queued")]
    pub max_queued: u16,
    /// The longest wait.
    #[serde(default = "ModelConfig::queue_wait_secs")]
    pub queue_wait_secs: u32,
    /// The longest side at which the model looks at an image, in pixels.
    #[serde(default = "ModelConfig::max_image_side")]
    pub max_image_side: NonZeroU16,
    /// `max_tokens` of a chat that does not say.
    #[serde(default = "ModelConfig::default_max_tokens")]
    pub default_max_tokens: NonZeroU32,
    /// The most `max_tokens` that a chat may say.
    #[serde(default = "ModelConfig::max_tokens_limit")]
    pub max_tokens_limit: NonZeroU32,
}

impl ModelConfig {
    /// The model of this source, with the defaults.
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

/// What a model runs on.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum DeviceConfig {
    /// The first GPU if the build has CUDA and the machine a GPU, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
}

/// How weights are shrunk.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum QuantiseConfig {
    /// 8 bits a weight.
    Q8,
    /// About 4.5 bits a weight.
    Q4,
}

/// `[log]`: what is logged to standard error, and how.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// For programs or for people.
    pub format: LogFormat,
    /// The least important lines to be written.
    pub level: LogLevel,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For a person at a terminal.
    Text,
}

/// How important a log line is.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What broke.
    Error,
    /// What may break.
    Warn,
    /// One line a request, and what the server does.
    #[default]
    Info,
    /// More.
    Debug,
}
