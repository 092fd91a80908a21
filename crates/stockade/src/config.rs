//! The configuration: one file for the whole fence.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

mod abuse;
mod audit;
mod auth;
mod body;
mod client_ip;
mod cors;
mod de;
mod environment;
mod error;
mod examples;
mod fault;
mod file;
mod legacy;
mod limits;
mod load;
mod methods;
mod node;
mod origin;
mod origins;
mod overrides;
mod probes;
mod schema;
mod value;
mod warning;

pub use abuse::{AbuseConfig, AnswerConfig};
pub use audit::{AuditConfig, OnOverflow};
pub use auth::{AuthConfig, RouteAccess, RouteConfig, TokensConfig};
pub use body::{BodyConfig, BodyProfile, ImagesConfig};
pub use client_ip::ClientIpConfig;
pub use cors::CorsConfig;
pub use environment::Environment;
pub use error::ConfigError;
pub use file::Format;
pub use legacy::LEGACY_NAMES;
pub use limits::{
    ConcurrencyConfig, HeaderStyle, OnFailure, RateLimitConfig, StoreConfig, TokenBudgetConfig,
};
pub use origin::Origin;
pub use origins::Setting;
pub use probes::ProbesConfig;
pub use value::SecretUrl;
pub use warning::{Change, ConfigWarning, Remedy};

pub(crate) use origins::Origins;

use load::Provenance;

/// The settings of a fence. Only `[auth]` is required.
///
/// The sections `[server]`, `[model]` and `[log]` of the same file belong to the program that
/// serves; [`read_with`](Self::read_with) reads them. Precedence: environment
/// (`STOCKADE_SECTION__SETTING`), then the [legacy names](LEGACY_NAMES) where
/// [`Environment::legacy_names`] was asked for, then the file.
///
/// ```
/// use stockade::{Config, Environment, Format};
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
/// let environment = Environment::new([("STOCKADE_RATE_LIMIT__BY_IP", "100/minute")]);
/// let config = Config::parse(config, Format::Toml, &environment)?;
/// assert_eq!(config.rate_limit.by_ip[0].count(), 100);
/// // Each value knows where it comes from.
/// let origin = |setting| config.origin(setting).unwrap().to_string();
/// assert_eq!(origin("rate_limit.by_ip"), "STOCKADE_RATE_LIMIT__BY_IP");
/// assert_eq!(origin("rate_limit.by_key"), "line 12");
///
/// let typo = "[auth]\nkeys_flie = \"keys.yaml\"\n";
/// let error = Config::parse(typo, Format::Toml, &Environment::default()).unwrap_err();
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
    /// Health checks, which no ban and no other limit holds up.
    #[serde(default)]
    pub probes: ProbesConfig,
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
    #[serde(skip)]
    provenance: Arc<Provenance>,
}

/// The sections of the program that serves, which the library does not look at.
#[derive(Deserialize)]
struct NotOurs {
    #[serde(default, rename = "server")]
    _server: IgnoredAny,
    #[serde(default, rename = "model")]
    _model: IgnoredAny,
    #[serde(default, rename = "log")]
    _log: IgnoredAny,
}

impl Config {
    /// Reads a file, TOML or YAML by its name. Relative paths, also those in variables, are
    /// relative to its folder. Pass [`Environment::from_process`].
    ///
    /// # Errors
    /// When it cannot be read, or a value is refused; the error has its origin and a remedy.
    pub fn read(path: impl AsRef<Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let (config, NotOurs { .. }) = Self::read_with(path, environment)?;
        Ok(config)
    }

    /// Reads a file that has sections of the program, too: `S` is a struct with a field for
    /// each of them. Their paths are left as they are.
    ///
    /// ```no_run
    /// use serde::Deserialize;
    /// use stockade::{Config, Environment};
    ///
    /// #[derive(Deserialize)]
    /// struct Sections {
    ///     server: Server,
    /// }
    ///
    /// #[derive(Deserialize)]
    /// #[serde(deny_unknown_fields)]
    /// struct Server {
    ///     port: u16,
    /// }
    ///
    /// let environment = Environment::from_process();
    /// let (config, sections) = Config::read_with::<Sections>("stockade.toml", &environment)?;
    /// # Ok::<(), stockade::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// As [`read`](Self::read); also for the sections of the program.
    pub fn read_with<S>(
        path: impl AsRef<Path>,
        environment: &Environment,
    ) -> Result<(Self, S), ConfigError>
    where
        S: DeserializeOwned,
    {
        let path = path.as_ref();
        let (mut config, own) = load::read::<S>(path, environment)?;
        config.resolve_paths(path.parent().unwrap_or(Path::new("")));
        Ok((config, own))
    }

    /// Reads a text. Paths are relative to the working directory of the process.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(
        text: &str,
        format: Format,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let (config, NotOurs { .. }) = Self::parse_with(text, format, environment)?;
        Ok(config)
    }

    /// Reads a text that has sections of the program, too.
    ///
    /// # Errors
    /// As [`read_with`](Self::read_with).
    pub fn parse_with<S>(
        text: &str,
        format: Format,
        environment: &Environment,
    ) -> Result<(Self, S), ConfigError>
    where
        S: DeserializeOwned,
    {
        load::parse(text, format, environment)
    }

    /// The settings that the file and the environment set, sections of the program included,
    /// with their origins. All others have their defaults.
    pub fn settings(&self) -> &[Setting] {
        self.provenance.origins.settings()
    }

    /// Where this setting is set; `None` where it has its default.
    pub fn origin(&self, setting: &str) -> Option<&Origin> {
        self.provenance.origins.of_setting(setting)
    }

    /// What should be known about it, such as variables without an effect.
    /// [`Fence::builder`](crate::Fence::builder) logs them.
    pub fn warnings(&self) -> &[ConfigWarning] {
        &self.provenance.warnings
    }

    /// The [legacy names](LEGACY_NAMES) in force, each with the setting that it sets.
    pub fn legacy_names(&self) -> &[(&'static str, &'static str)] {
        &self.provenance.legacy
    }

    /// The names of the sections at the top of a file, which are not checked: to see whose
    /// file it is.
    ///
    /// # Errors
    /// When it cannot be read, or is neither TOML nor YAML.
    pub fn section_names(path: impl AsRef<Path>) -> Result<Vec<String>, ConfigError> {
        load::section_names(path.as_ref())
    }

    /// The same error, with the place where its setting is set.
    pub fn locate(&self, error: ConfigError) -> ConfigError {
        error.locate(&self.provenance.origins)
    }

    pub(crate) fn origins(&self) -> &Origins {
        &self.provenance.origins
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
        let (token_key, revoked) = match self.auth.tokens.as_mut() {
            Some(tokens) => (Some(&mut tokens.key_file), tokens.revoked_file.as_mut()),
            None => (None, None),
        };
        let files = [
            all,
            security,
            key,
            prompt_key,
            self.auth.keys_file.as_mut(),
            self.auth.pepper_file.as_mut(),
            token_key,
            revoked,
            self.abuse.deny_list.as_mut(),
        ];
        for file in files.into_iter().flatten() {
            *file = PathBuf::from(folder).join(&*file);
        }
    }
}
