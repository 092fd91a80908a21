//! The configuration of the server: its file, and what its command line sets.

use std::path::Path;

use stockade::{ConfigError, Environment, Format};
use stockade_server_config::ServerFile;

mod model;

pub use stockade_server_config::{
    DeviceConfig, LogConfig, LogFormat, LogLevel, ModelConfig, QuantiseConfig, ServerConfig,
    TlsConfig, UnknownFields,
};

use crate::StartError;

/// The settings of the server. Only the model and the keys are required.
#[derive(Clone, Debug)]
pub struct Config {
    /// The listener and its limits.
    pub server: ServerConfig,
    /// Which model, and how much of it.
    pub model: ModelConfig,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Who may use it, and how much of it.
    pub fence: stockade::Config,
}

impl Config {
    /// Reads a file, TOML or YAML by its name. Relative paths, also those in variables, are
    /// relative to its folder. Precedence: environment (`STOCKADE_SERVER__LISTEN`), then the
    /// [legacy names](stockade::LEGACY_NAMES) where they were asked for, then the file.
    ///
    /// # Errors
    /// When it cannot be read, or a value is refused; the error has its origin and a remedy.
    pub fn read(path: &Path, environment: &Environment) -> Result<Self, StartError> {
        Self::read_with_model(path, environment, None)
    }

    /// As [`read`](Self::read), with another model than that of the file.
    pub(crate) fn read_with_model(
        path: &Path,
        environment: &Environment,
        source: Option<String>,
    ) -> Result<Self, StartError> {
        let file = ServerFile::read(path, environment);
        file.and_then(|file| Self::from_file(file, source))
            .map_err(|error| StartError::new(error.to_string()))
    }

    /// Reads a text. Relative paths stay relative to the process.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(text: &str, environment: &Environment) -> Result<Self, StartError> {
        let file = ServerFile::parse(text, Format::Toml, environment);
        file.and_then(|file| Self::from_file(file, None))
            .map_err(|error| StartError::new(error.to_string()))
    }

    fn from_file(file: ServerFile, source: Option<String>) -> Result<Self, ConfigError> {
        let model = match (source, &file.model) {
            // The file's name is the name of the file's model.
            (Some(source), Some(model)) => ModelConfig {
                source,
                name: None,
                ..model.clone()
            },
            (Some(source), None) => ModelConfig::new(source),
            (None, _) => file.require_model()?.clone(),
        };
        Ok(Self {
            server: file.server,
            model,
            log: file.log,
            fence: file.fence,
        })
    }
}

#[cfg(test)]
mod tests;
