//! The configuration file: one TOML file for everything the server does.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use stockade::Format;

mod model;
mod sections;

pub use sections::{
    DeviceConfig, LogConfig, LogFormat, LogLevel, ModelConfig, QuantiseConfig, ServerConfig,
    TlsConfig,
};

use crate::StartError;

/// What an operator chooses. Only the model and the keys must be chosen.
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

/// The sections that are not the fence's. It reads the same file, and refuses what belongs
/// to neither.
#[derive(Deserialize)]
struct Own {
    #[serde(default)]
    server: ServerConfig,
    model: ModelConfig,
    #[serde(default)]
    log: LogConfig,
}

impl Config {
    /// Reads a file. Relative paths within it are relative to its folder; variables of the
    /// environment such as `STOCKADE_SERVER__LISTEN` come before it.
    ///
    /// # Errors
    /// When it cannot be read, or is not what it should be; the error says where.
    pub fn read(path: &Path) -> Result<Self, StartError> {
        let name = path.display();
        let text = fs::read_to_string(path)
            .map_err(|error| StartError::new(format!("cannot read {name}: {error}")))?;
        let environment: Vec<_> = env::vars().collect();
        let mut config = Self::with(&text, &environment)
            .map_err(|error| StartError::new(error.within(&name.to_string()).to_string()))?;
        config.resolve_paths(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// Reads a text. Relative paths stay relative to the process.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(text: &str) -> Result<Self, StartError> {
        Self::with(text, &[]).map_err(|error| StartError::new(error.to_string()))
    }

    fn with(text: &str, environment: &[(String, String)]) -> Result<Self, stockade::ConfigError> {
        let environment = || environment.iter().map(|(name, value)| (name, value));
        let fence = stockade::parse(text, Format::Toml, environment())?;
        let Own { server, model, log } = stockade::parse(text, Format::Toml, environment())?;
        Ok(Self {
            server,
            model,
            log,
            fence,
        })
    }

    fn resolve_paths(&mut self, folder: &Path) {
        self.fence.resolve_paths(folder);
        if let Some(tls) = &mut self.server.tls {
            for file in [&mut tls.certificate_file, &mut tls.key_file] {
                *file = folder.join(&*file);
            }
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
