//! The configuration file.

use std::path::Path;

use serde::Deserialize;
use stockade::{Config, ConfigError, Environment, Format, SecretUrl};
use stockade_admin::AdminConfig;

use crate::{
    AlertsConfig, DocsConfig, LogConfig, MetricsConfig, ModelConfig, ServerConfig, TelemetryConfig,
    UpstreamsConfig,
};

/// A configuration file of the server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerFile {
    /// The listener and its limits.
    pub server: ServerConfig,
    /// The models, from `[model]` or `[[models]]`. Required, unless the command line sets one.
    pub models: Vec<ModelConfig>,
    /// The settings of all upstreams.
    pub upstreams: UpstreamsConfig,
    /// The description of the API.
    pub docs: DocsConfig,
    /// The log.
    pub log: LogConfig,
    /// The metrics in Prometheus' format.
    pub metrics: MetricsConfig,
    /// Traces and metrics for a collector; `None` if the file has no section `[telemetry]`.
    pub telemetry: Option<TelemetryConfig>,
    /// The administration; `None` if the file has no section `[admin]`.
    pub admin: Option<AdminConfig>,
    /// The alerts; `None` if the file has no section `[alerts]`.
    pub alerts: Option<AlertsConfig>,
    /// The configuration of the fence.
    pub fence: Config,
    /// Whether the models are from `[[models]]`.
    is_list: bool,
}

/// The sections that only the server has.
#[derive(Deserialize)]
struct Sections {
    #[serde(default)]
    server: ServerConfig,
    model: Option<ModelConfig>,
    #[serde(default)]
    models: Vec<ModelConfig>,
    #[serde(default)]
    upstreams: UpstreamsConfig,
    #[serde(default)]
    docs: DocsConfig,
    #[serde(default)]
    log: LogConfig,
    #[serde(default)]
    metrics: MetricsConfig,
    telemetry: Option<TelemetryConfig>,
    admin: Option<AdminConfig>,
    alerts: Option<AlertsConfig>,
}

impl ServerFile {
    /// The names of the sections that only a file of the server has.
    pub const SECTIONS: [&str; 10] = [
        "server",
        "model",
        "models",
        "upstreams",
        "docs",
        "log",
        "metrics",
        "telemetry",
        "admin",
        "alerts",
    ];

    /// Reads a TOML or YAML file, by its extension. Relative paths in the file and in
    /// environment variables are relative to the directory of the file.
    ///
    /// # Errors
    /// When the file cannot be read, or a value is invalid; the error has an origin and a
    /// remedy.
    pub fn read(path: impl AsRef<Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let (fence, sections) = Config::read_with(path, environment)?;
        let mut file = Self::from_parts(fence, sections)?;
        file.resolve_paths(path.parent().unwrap_or(Path::new("")));
        Ok(file)
    }

    /// Parses TOML or YAML as a file in this folder, without reading it: to validate a text before
    /// it is written.
    ///
    /// # Errors
    /// When a value is invalid, as in [`read`](Self::read).
    pub fn parse_in(
        folder: &Path,
        text: &str,
        format: Format,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let (fence, sections) = Config::parse_in(folder, text, format, environment)?;
        let mut file = Self::from_parts(fence, sections)?;
        file.resolve_paths(folder);
        Ok(file)
    }

    /// Resolves the relative paths of the server's sections.
    fn resolve_paths(&mut self, folder: &Path) {
        if let Some(tls) = &mut self.server.tls {
            let pair = [&mut tls.certificate_file, &mut tls.key_file];
            let others = [
                &mut tls.ocsp_file,
                &mut tls.client_ca_file,
                &mut tls.client_crl_file,
            ];
            for file in pair.into_iter().chain(others.into_iter().flatten()) {
                *file = folder.join(&*file);
            }
        }
        for model in &mut self.models {
            model.resolve_source(folder);
            for upstream in &mut model.upstream {
                upstream.resolve_paths(folder);
            }
        }
        if let Some(telemetry) = &mut self.telemetry {
            let files = [&mut telemetry.headers_file, &mut telemetry.ca_file];
            for file in files.into_iter().flatten() {
                *file = folder.join(&*file);
            }
        }
        if let Some(admin) = &mut self.admin {
            admin.resolve_paths(folder);
        }
        if let Some(alerts) = &mut self.alerts {
            alerts.resolve_paths(folder);
        }
    }

    /// Parses TOML or YAML. Relative paths are relative to the working directory.
    ///
    /// # Errors
    /// When a value is invalid, as in [`read`](Self::read).
    pub fn parse(
        text: &str,
        format: Format,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let (fence, sections) = Config::parse_with(text, format, environment)?;
        Self::from_parts(fence, sections)
    }

    fn from_parts(fence: Config, sections: Sections) -> Result<Self, ConfigError> {
        let Sections {
            server,
            model,
            models,
            upstreams,
            docs,
            log,
            metrics,
            telemetry,
            admin,
            alerts,
        } = sections;
        if model.is_some() && !models.is_empty() {
            return Err(fence.locate(both_forms(&fence)));
        }
        let file = Self {
            server,
            is_list: !models.is_empty(),
            models: model.into_iter().chain(models).collect(),
            upstreams,
            docs,
            log,
            metrics,
            telemetry,
            admin,
            alerts,
            fence,
        };
        match file.check_models() {
            Ok(()) => Ok(file),
            Err(error) => Err(file.fence.locate(error)),
        }
    }

    /// The settings that name a file, derived from the types: to test that a program handles all
    /// of them, as in [`Config::file_settings`].
    pub fn file_settings() -> Vec<String> {
        Config::file_settings::<Sections>()
    }

    /// The URLs of the databases and of the store, each with its setting.
    pub fn urls(&self) -> Vec<(&'static str, &SecretUrl)> {
        let fence = &self.fence;
        let audit = fence.audit.as_ref();
        let urls = [
            ("auth.keys_database", fence.auth.keys_database.as_ref()),
            (
                "audit.database",
                audit.and_then(|audit| audit.database.as_ref()),
            ),
            (
                "store.redis",
                fence.store.as_ref().map(|store| &store.redis),
            ),
            (
                "admin.database",
                self.admin.as_ref().map(|admin| &admin.database),
            ),
        ];
        let set = urls.into_iter();
        set.filter_map(|(setting, url)| Some((setting, url?)))
            .collect()
    }

    /// The path of the section of a model, for errors.
    pub fn section(&self, at: usize) -> String {
        match self.is_list {
            true => format!("models[{at}]"),
            false => "model".to_owned(),
        }
    }

    /// The models of the file.
    ///
    /// # Errors
    /// When the file has neither a section `[model]` nor `[[models]]`.
    pub fn require_models(&self) -> Result<&[ModelConfig], ConfigError> {
        if self.models.is_empty() {
            return Err(
                ConfigError::setting("model", "the server has no model").help(
                    "add the section [model] with source = \"Hcompany/Holo1.5-7B\", with a \
                     directory: source = \"./model\", or with a server: name = \"holo\" and \
                     upstream = [{ url = \"http://127.0.0.1:8000/v1\" }]",
                ),
            );
        }
        Ok(&self.models)
    }
}

/// The error of `[model]` together with `[[models]]`. A variable alone sets `[model]`, too.
fn both_forms(fence: &Config) -> ConfigError {
    let mut settings = fence.settings().iter().filter_map(|setting| {
        let name = setting.name.strip_prefix("model.")?;
        Some((name, setting.origin.as_variable()))
    });
    let first = settings.next();
    match first {
        Some((name, Some(variable))) if settings.all(|(_, variable)| variable.is_some()) => {
            ConfigError::setting(format!("model.{name}"), "the file has [[models]]").help(format!(
                "unset {variable}, and set {name} in the entries of [[models]]"
            ))
        }
        _ => ConfigError::setting("model", "the file has [model] and [[models]]")
            .help("move the settings of [model] to an entry of [[models]]"),
    }
}
