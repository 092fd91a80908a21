//! The configuration file.

use std::{fs::File, path::Path};

use serde::Deserialize;
use stockade::{Config, ConfigError, Environment, Format};

use crate::{LogConfig, ModelConfig, ServerConfig};

/// A configuration file of the server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerFile {
    /// The listener and its limits.
    pub server: ServerConfig,
    /// The model. Required, unless the command line sets one.
    pub model: Option<ModelConfig>,
    /// The log.
    pub log: LogConfig,
    /// The configuration of the fence.
    pub fence: Config,
}

/// The sections that only the server has.
#[derive(Deserialize)]
struct Sections {
    #[serde(default)]
    server: ServerConfig,
    model: Option<ModelConfig>,
    #[serde(default)]
    log: LogConfig,
}

impl ServerFile {
    /// The names of the sections that only a file of the server has.
    pub const SECTIONS: [&str; 3] = ["server", "model", "log"];

    /// Reads a TOML or YAML file, by its extension. Relative paths in the file and in
    /// environment variables are relative to the directory of the file.
    ///
    /// # Errors
    /// When the file cannot be read, or a value is invalid; the error has an origin and a
    /// remedy.
    pub fn read(path: impl AsRef<Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let (fence, sections) = Config::read_with(path, environment)?;
        let mut file = Self::from_parts(fence, sections);
        let folder = path.parent().unwrap_or(Path::new(""));
        if let Some(tls) = &mut file.server.tls {
            for file in [&mut tls.certificate_file, &mut tls.key_file] {
                *file = folder.join(&*file);
            }
        }
        if let Some(model) = &mut file.model {
            model.resolve_source(folder);
        }
        Ok(file)
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
        Ok(Self::from_parts(fence, sections))
    }

    fn from_parts(fence: Config, sections: Sections) -> Self {
        let Sections { server, model, log } = sections;
        Self {
            server,
            model,
            log,
            fence,
        }
    }

    /// Checks that the model exists and that the TLS files can be read. Returns the errors that
    /// would prevent a start of the server, in addition to those of the fence.
    pub fn validate(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        match &self.model {
            None => errors.extend(self.require_model().err()),
            Some(model) => errors.extend(model.check_directory()),
        }
        if let Some(tls) = &self.server.tls {
            for (setting, file) in [
                ("server.tls.certificate_file", &tls.certificate_file),
                ("server.tls.key_file", &tls.key_file),
            ] {
                if let Err(error) = File::open(file) {
                    let text = format!("cannot read {}: {error}", file.display());
                    errors.push(ConfigError::setting(setting, text));
                }
            }
        }
        let located = |error| self.fence.locate(error);
        errors.into_iter().map(located).collect()
    }

    /// The model of the file.
    ///
    /// # Errors
    /// When the file has no section `[model]`.
    pub fn require_model(&self) -> Result<&ModelConfig, ConfigError> {
        self.model.as_ref().ok_or_else(|| {
            ConfigError::setting("model", "the server has no model").help(
                "add the section [model] with source = \"Hcompany/Holo1.5-7B\", or a directory: \
                 source = \"./model\"",
            )
        })
    }
}
