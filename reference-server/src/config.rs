//! The configuration file: one TOML file for everything the server does.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

mod fault;
mod sections;

pub use sections::{
    AuthConfig, ClientIpConfig, DeviceConfig, LogConfig, LogFormat, LogLevel, ModelConfig,
    QuantiseConfig, ServerConfig,
};

use crate::StartError;

/// What an operator chooses. Only the model and the keys must be chosen.
///
/// ```
/// use stockade_server::Config;
///
/// let config = Config::parse(
///     r#"
///     [model]
///     source = "Hcompany/Holo1.5-7B"
///
///     [auth]
///     keys_file = "keys.yaml"
///     "#,
/// )?;
/// assert_eq!(config.server.listen.to_string(), "127.0.0.1:8000");
///
/// let error = Config::parse("[model]\nsorce = \"a/b\"").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "line 2: unknown field `sorce`; did you mean `source`?",
/// );
/// # Ok::<(), stockade_server::StartError>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The listener and its limits.
    #[serde(default)]
    pub server: ServerConfig,
    /// Which model, and how much of it.
    pub model: ModelConfig,
    /// Who may use it.
    pub auth: AuthConfig,
    /// Which proxies are believed.
    #[serde(default)]
    pub client_ip: ClientIpConfig,
    /// What is logged, and how.
    #[serde(default)]
    pub log: LogConfig,
}

impl Config {
    /// Reads a file. Relative paths within it are relative to its folder.
    ///
    /// # Errors
    /// When it cannot be read, or is not what it should be; the error says where.
    pub fn read(path: &Path) -> Result<Self, StartError> {
        let name = path.display();
        let text = fs::read_to_string(path)
            .map_err(|error| StartError::new(format!("cannot read {name}: {error}")))?;
        let mut config = fault::parse(&text)
            .map_err(|fault| StartError::new(format!("{name}:{fault}")))?;
        config.resolve_paths(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// Reads a text. Relative paths stay relative to the process.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(text: &str) -> Result<Self, StartError> {
        fault::parse(text).map_err(|fault| StartError::new(format!("line {fault}")))
    }

    fn resolve_paths(&mut self, folder: &Path) {
        self.auth.keys_file = folder.join(&self.auth.keys_file);
        // A hub id stays what it is, also where a folder beside the file bears its name.
        let source = Path::new(&self.model.source);
        if source.starts_with(".") || source.starts_with("..") {
            let joined: PathBuf = folder.join(source);
            self.model.source = joined.to_string_lossy().into_owned();
        }
    }
}

#[cfg(test)]
mod tests;
