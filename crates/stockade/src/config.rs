//! The configuration: one file for the whole fence.

use std::path::{Path, PathBuf};

use serde::{Deserialize, de::IgnoredAny};

mod abuse;
mod audit;
mod auth;
mod body;
mod client_ip;
mod cors;
mod error;
mod legacy;
mod limits;
mod load;
mod value;

pub use abuse::{AbuseConfig, AnswerConfig};
pub use audit::{AuditConfig, OnOverflow};
pub use auth::{AuthConfig, RouteAccess, RouteConfig, TokensConfig};
pub use body::{BodyConfig, BodyProfile, ImagesConfig};
pub use client_ip::ClientIpConfig;
pub use cors::{CorsConfig, DocsConfig};
pub use error::ConfigError;
pub use legacy::LEGACY_NAMES;
pub use limits::{
    ConcurrencyConfig, HeaderStyle, OnFailure, RateLimitConfig, StoreConfig, TokenBudgetConfig,
};
pub use load::{Format, parse};
pub use value::SecretUrl;

/// What an operator chooses. Only `[auth]` must be there.
///
/// The sections `[server]`, `[model]` and `[log]` of the same file belong to whoever
/// serves, and are not looked at.
///
/// ```
/// use stockade::{Config, Format};
///
/// let config = r#"
///     [auth]
///     keys_file = "keys.yaml"
///
///     [[routes]]
///     path = "/v1/chat/completions"
///     methods = "POST"
///     access = "chat:write"
///
///     [rate_limit]
///     by_ip = "600/minute"
///     by_key = ["60/minute", "10000/day"]
/// "#;
/// // What the environment says comes before what the file says.
/// let environment = [("STOCKADE_RATE_LIMIT__BY_IP", "100/minute")];
/// let config = Config::parse(config, Format::Toml, environment)?;
/// assert_eq!(config.rate_limit.by_ip[0].count(), 100);
///
/// let typo = "[auth]\nkeys_flie = \"keys.yaml\"\n";
/// let error = Config::parse(typo, Format::Toml, [("", "")]).unwrap_err();
/// assert_eq!(error.to_string(), "line 2: unknown field `keys_flie`; did you mean `keys_file`?");
/// # Ok::<(), stockade::ConfigError>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which proxies are believed.
    #[serde(default)]
    pub client_ip: ClientIpConfig,
    /// Who is known.
    pub auth: AuthConfig,
    /// Who may use which route. What none names, nobody may.
    #[serde(default)]
    pub routes: Vec<RouteConfig>,
    /// Requests in a time.
    #[serde(default)]
    pub rate_limit: RateLimitConfig,
    /// Requests at the same time.
    #[serde(default)]
    pub concurrency: ConcurrencyConfig,
    /// Model tokens in a time.
    #[serde(default)]
    pub token_budget: TokenBudgetConfig,
    /// Where limits and bans are kept, so that replicas share them.
    pub store: Option<StoreConfig>,
    /// Who is banned.
    #[serde(default)]
    pub abuse: AbuseConfig,
    /// What requests may carry.
    #[serde(default)]
    pub body: BodyConfig,
    /// What is recorded, and where.
    pub audit: Option<AuditConfig>,
    /// Which web pages may call the API.
    #[serde(default)]
    pub cors: CorsConfig,
    /// Pages that describe the API.
    #[serde(default)]
    pub docs: DocsConfig,
    // What stands in the same file for whoever serves, such as `stockade-server`.
    #[serde(default, rename = "server")]
    _server: IgnoredAny,
    #[serde(default, rename = "model")]
    _model: IgnoredAny,
    #[serde(default, rename = "log")]
    _log: IgnoredAny,
}

impl Config {
    /// Reads a file, TOML or YAML by its name. Paths within it are relative to its folder.
    ///
    /// Variables named `STOCKADE_SECTION__SETTING` come before the file, and so do those
    /// of [`LEGACY_NAMES`]; pass [`std::env::vars`].
    ///
    /// # Errors
    /// When it cannot be read, or is not what it should be; the error says where.
    pub fn read<N, V>(
        path: &Path,
        environment: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, ConfigError>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let mut config: Self = load::read(path, environment)?;
        config.resolve_paths(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// Reads a text. Paths within it are relative to the process.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse<N, V>(
        text: &str,
        format: Format,
        environment: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, ConfigError>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        load::parse(text, format, environment)
    }

    /// Makes paths relative to this folder.
    pub fn resolve_paths(&mut self, folder: &Path) {
        let audit = self.audit.as_mut();
        let (all, security, key, prompt_key) = match audit {
            Some(audit) => (
                audit.file.as_mut(),
                audit.security_file.as_mut(),
                audit.key_file.as_mut(),
                audit.prompt_key_file.as_mut(),
            ),
            None => (None, None, None, None),
        };
        let files = [
            all,
            security,
            key,
            prompt_key,
            self.auth.keys_file.as_mut(),
            self.auth.tokens.as_mut().map(|tokens| &mut tokens.key_file),
            self.abuse.deny_list.as_mut(),
        ];
        for file in files.into_iter().flatten() {
            *file = PathBuf::from(folder).join(&*file);
        }
    }
}
