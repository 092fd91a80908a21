//! The configuration file: one TOML file for everything the server does.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

mod fault;
mod model;
mod sections;

pub use sections::{
    AuthConfig, ClientIpConfig, DatabaseUrl, DeviceConfig, LogConfig, LogFormat, LogLevel,
    ModelConfig, QuantiseConfig, ServerConfig, TokensConfig,
};

use crate::StartError;

/// What an operator chooses. Only the model and the keys must be chosen.
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
        let mut config =
            fault::parse(&text).map_err(|fault| StartError::new(format!("{name}:{fault}")))?;
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
        if let Some(file) = &mut self.auth.keys_file {
            *file = folder.join(&*file);
        }
        if let Some(tokens) = &mut self.auth.tokens {
            tokens.key_file = folder.join(&tokens.key_file);
        }
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
