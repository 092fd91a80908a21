//! The sections of the configuration file.

use std::{
    fmt,
    net::SocketAddr,
    num::{NonZeroU16, NonZeroU32},
    path::PathBuf,
};

use serde::Deserialize;
use stockade_core::IpPrefix;
use zeroize::Zeroizing;

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
    pub listen: SocketAddr,
    /// The longest time from a request's head to the end of its answer.
    pub request_timeout_secs: NonZeroU32,
    /// The longest time in which a client may send a request's head.
    pub header_timeout_secs: NonZeroU32,
    /// The longest time in which a client may send a request's body.
    pub body_timeout_secs: NonZeroU32,
    /// How long answers may go on after the signal to stop.
    pub shutdown_grace_secs: u32,
    /// The largest body, in MiB. Images travel within it, a third larger as base64.
    pub max_body_mb: NonZeroU16,
    /// Connections at the same time; further ones wait.
    pub max_connections: NonZeroU32,
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
        }
    }
}

/// `[model]`: which model, and how much of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// A directory with the weights, or a repository of the Hugging Face hub
    /// (`owner/name`). A relative directory begins with `./` or `../`.
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

/// `[auth]`: who may use the server. There is no way to run it without keys.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// The file (YAML, TOML or JSON) with the hashes of the keys. Either this or
    /// `keys_database` is there.
    pub keys_file: Option<PathBuf>,
    /// The database with the hashes of the keys, for several servers that share them:
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`.
    pub keys_database: Option<DatabaseUrl>,
    /// The realm of the challenge.
    #[serde(default = "AuthConfig::realm")]
    pub realm: String,
    /// Tokens that are taken besides keys.
    pub tokens: Option<TokensConfig>,
}

/// Where a database is; not shown, since it may hold a password.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct DatabaseUrl(Zeroizing<String>);

impl DatabaseUrl {
    /// The URL, password included.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

/// `[auth.tokens]`: access tokens (JWT) of one issuer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokensConfig {
    /// What `iss` must be, byte by byte.
    pub issuer: String,
    /// What `aud` must be or hold.
    pub audience: String,
    /// The one algorithm that is taken: `EdDSA`, `ES256`, `RS256`, `HS256`, …
    pub algorithm: String,
    /// A file with the public key as PEM or JWKS, or with the secret for `HS…`.
    pub key_file: PathBuf,
    /// The claim with the scopes.
    #[serde(default = "TokensConfig::scope_claim")]
    pub scope_claim: String,
}

impl TokensConfig {
    fn scope_claim() -> String {
        "scope".to_owned()
    }
}

impl AuthConfig {
    fn realm() -> String {
        "api".to_owned()
    }
}

/// `[client_ip]`: which proxies are believed when they name their client.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientIpConfig {
    /// Networks of proxies, such as `10.0.0.0/8`; nobody by default.
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpPrefix>,
    /// The one header they use: `x-forwarded-for`, `forwarded`, or one that holds a
    /// single address and is always overwritten. Must be said where there are proxies.
    pub header: Option<String>,
}

fn networks<'de, D>(deserializer: D) -> Result<Vec<IpPrefix>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let texts = Vec::<String>::deserialize(deserializer)?;
    let networks = texts.iter().map(|text| text.parse());
    networks
        .collect::<Result<_, _>>()
        .map_err(serde::de::Error::custom)
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
