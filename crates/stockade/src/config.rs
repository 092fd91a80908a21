//! Configuration of a fence, read from one file and the environment.

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
mod de_error;
mod environment;
mod error;
mod examples;
mod file;
mod legacy;
mod limits;
mod load;
mod methods;
mod node;
mod origin;
mod overrides;
mod probes;
mod schema;
mod secret_files;
mod setting_file;
mod settings;
mod streams;
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
pub use origin::SettingOrigin;
pub use probes::ProbesConfig;
pub use setting_file::SettingFile;
pub use settings::Setting;
pub use streams::StreamsConfig;
pub use value::SecretUrl;
pub use warning::{Change, ConfigWarning, Remedy};

pub(crate) use settings::Settings;

use load::Provenance;

/// The settings of a fence. Only `[auth]` is required.
///
/// The sections `[server]`, `[model]` and `[log]` of the same file belong to the program;
/// [`read_with`](Self::read_with) reads them. Precedence: environment
/// (`STOCKADE_SECTION__SETTING`), then the [legacy names](LEGACY_NAMES) if
/// [`Environment::legacy_names`] was called, then the file.
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
/// // Each value has an origin.
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
#[non_exhaustive]
pub struct Config {
    /// Trusted proxies.
    #[serde(default)]
    pub client_ip: ClientIpConfig,
    /// Keys and tokens.
    pub auth: AuthConfig,
    /// Access rules per route. Routes without a rule are denied.
    #[serde(default)]
    pub routes: Vec<RouteConfig>,
    /// Health checks, which are exempt from bans and from all other limits.
    #[serde(default)]
    pub probes: ProbesConfig,
    /// Limits of the request rate.
    #[serde(default)]
    pub rate_limit: RateLimitConfig,
    /// Limits of concurrent requests.
    #[serde(default)]
    pub concurrency: ConcurrencyConfig,
    /// Quotas of model tokens.
    #[serde(default)]
    pub token_budget: TokenBudgetConfig,
    /// Responses that are on their way when the access of their client ends.
    #[serde(default)]
    pub streams: StreamsConfig,
    /// The store of limits and bans that replicas share.
    pub store: Option<StoreConfig>,
    /// Bans of abusive clients.
    #[serde(default)]
    pub abuse: AbuseConfig,
    /// Limits of request bodies.
    #[serde(default)]
    pub body: BodyConfig,
    /// Audit records.
    pub audit: Option<AuditConfig>,
    /// Web origins that may call the API from a browser.
    #[serde(default)]
    pub cors: CorsConfig,
    #[serde(skip)]
    provenance: Arc<Provenance>,
}

/// The sections of the program, which the library ignores.
#[derive(Deserialize)]
struct ProgramSections {
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
    /// When the file cannot be read or a value is invalid; the error has the origin and a remedy.
    pub fn read(path: impl AsRef<Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let (config, ProgramSections { .. }) = Self::read_with(path, environment)?;
        Ok(config)
    }

    /// Reads a file that also has sections of the program: `S` is a struct with a field for
    /// each of them. Paths in these sections are not resolved.
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
    /// Returns the errors of [`read`](Self::read), also for the sections of the program.
    pub fn read_with<S>(
        path: impl AsRef<Path>,
        environment: &Environment,
    ) -> Result<(Self, S), ConfigError>
    where
        S: DeserializeOwned,
    {
        let path = path.as_ref();
        let (mut config, own) = load::read::<S>(path, environment)?;
        config.resolve_paths(load::folder_of(path));
        Ok((config, own))
    }

    /// Parses a string. Paths are relative to the working directory of the process.
    ///
    /// # Errors
    /// Returns the errors of [`read`](Self::read).
    pub fn parse(
        text: &str,
        format: Format,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let (config, ProgramSections { .. }) = Self::parse_with(text, format, environment)?;
        Ok(config)
    }

    /// Parses a string that also has sections of the program.
    ///
    /// # Errors
    /// Returns the errors of [`read_with`](Self::read_with).
    pub fn parse_with<S>(
        text: &str,
        format: Format,
        environment: &Environment,
    ) -> Result<(Self, S), ConfigError>
    where
        S: DeserializeOwned,
    {
        load::parse(text, format, environment, Path::new(""))
    }

    /// Parses a string as a file in this folder, with sections of the program, such as to validate
    /// a text before it is written.
    ///
    /// # Errors
    /// Returns the errors of [`read_with`](Self::read_with).
    pub fn parse_in<S>(
        folder: &Path,
        text: &str,
        format: Format,
        environment: &Environment,
    ) -> Result<(Self, S), ConfigError>
    where
        S: DeserializeOwned,
    {
        let (mut config, own) = load::parse(text, format, environment, folder)?;
        config.resolve_paths(folder);
        Ok((config, own))
    }

    /// The settings in the file and the environment, with their origins, including those of the
    /// program's sections. All others have their defaults.
    pub fn settings(&self) -> &[Setting] {
        self.provenance.settings.as_slice()
    }

    /// The files that settings in the file and the environment name, including those of the
    /// program's sections and of secrets (`store.redis_file`). Folders of models and databases are
    /// not among them.
    pub fn files(&self) -> &[SettingFile] {
        &self.provenance.files
    }

    /// The settings that name a file, derived from the types of this configuration and of the
    /// program's sections: to test that a program handles all of them. `[]` stands for the
    /// elements of a list: `models[].upstream[].ca_file`.
    pub fn file_settings<S>() -> Vec<String>
    where
        S: DeserializeOwned,
    {
        load::schema_with::<S>().into_files()
    }

    /// The origin of this setting; `None` if it has its default.
    pub fn origin(&self, setting: &str) -> Option<&SettingOrigin> {
        self.provenance.settings.origin(setting)
    }

    /// Problems that do not prevent its use, such as variables without an effect.
    /// [`Fence::builder`](crate::Fence::builder) logs them.
    pub fn warnings(&self) -> &[ConfigWarning] {
        &self.provenance.warnings
    }

    /// The [legacy names](LEGACY_NAMES) in effect, each with its setting.
    pub fn legacy_names(&self) -> &[(&'static str, &'static str)] {
        &self.provenance.legacy
    }

    /// The names of the top-level sections of a file, unchecked: to detect which program the
    /// file belongs to.
    ///
    /// # Errors
    /// When the file cannot be read or is neither TOML nor YAML.
    pub fn section_names(path: impl AsRef<Path>) -> Result<Vec<String>, ConfigError> {
        load::section_names(path.as_ref())
    }

    /// Adds the origin of its setting to an error.
    pub fn locate(&self, error: ConfigError) -> ConfigError {
        error.locate(&self.provenance.settings)
    }

    pub(crate) fn located_settings(&self) -> &Settings {
        &self.provenance.settings
    }

    /// Resolves relative paths against this folder.
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
        for file in &mut Arc::make_mut(&mut self.provenance).files {
            file.path = folder.join(&file.path);
        }
    }
}
