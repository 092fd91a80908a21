//! The server's configuration: the file, and the values set on the command line.

use std::path::Path;

use stockade::{ConfigError, Environment, Finding, Format};
use stockade_admin::AdminConfig;
use stockade_server_config::ServerFile;

#[cfg(feature = "mistralrs")]
mod model;
mod upstream;

pub use stockade_server_config::{
    AlertCondition, AlertsConfig, ApiConfig, ApiKeyHeader, ClientAuth, DeviceConfig, DocsConfig,
    EngineConfig, LogConfig, LogFormat, LogLevel, MemoryCheck, MetricNames, MetricsConfig,
    ModelConfig, OtlpEndpoint, PagedAttention, QuantiseConfig, SampleRatio, ServerConfig,
    TelemetryConfig, TlsConfig, TrustIncoming, UnknownFields, UpstreamConfig, UpstreamsConfig,
};

use crate::StartError;

/// The server's configuration. Only a model and the keys are required.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The listener and its limits.
    pub server: ServerConfig,
    /// The models and their limits; never empty.
    pub models: Vec<ModelConfig>,
    /// The settings of all upstreams.
    pub upstreams: UpstreamsConfig,
    /// The description of the API.
    pub docs: DocsConfig,
    /// The log level and format.
    pub log: LogConfig,
    /// The metrics in Prometheus' format.
    pub metrics: MetricsConfig,
    /// Traces and metrics for a collector; `None` to send none. Requires the feature `otel`.
    pub telemetry: Option<TelemetryConfig>,
    /// The administration; `None` to serve none.
    pub admin: Option<AdminConfig>,
    /// The alerts; `None` to send none.
    pub alerts: Option<AlertsConfig>,
    /// Authentication, authorization and limits.
    pub fence: stockade::Config,
    /// Unsafe settings of the server's sections.
    pub(crate) warnings: Vec<Finding>,
}

impl Config {
    /// Reads a TOML or YAML file, by its extension. Relative paths, including those in variables,
    /// are relative to the file's directory. Precedence: environment (`STOCKADE_SERVER__LISTEN`), then the
    /// [legacy names](stockade::LEGACY_NAMES) if enabled, then the file.
    ///
    /// # Errors
    /// Returns an error with the origin and a remedy if the file cannot be read or a value is
    /// invalid.
    pub fn read(path: &Path, environment: &Environment) -> Result<Self, StartError> {
        Self::read_with_model(path, environment, None)
    }

    /// Like [`read`](Self::read), but with another model than the file's.
    pub(crate) fn read_with_model(
        path: &Path,
        environment: &Environment,
        source: Option<String>,
    ) -> Result<Self, StartError> {
        let file = ServerFile::read(path, environment);
        file.and_then(|file| Self::from_file(file, source))
            .map_err(|error| StartError::new(error.to_string()))
    }

    /// Parses TOML text. Relative paths stay relative to the working directory.
    ///
    /// # Errors
    /// Like [`read`](Self::read).
    pub fn parse(text: &str, environment: &Environment) -> Result<Self, StartError> {
        let file = ServerFile::parse(text, Format::Toml, environment);
        file.and_then(|file| Self::from_file(file, None))
            .map_err(|error| StartError::new(error.to_string()))
    }

    fn from_file(file: ServerFile, source: Option<String>) -> Result<Self, ConfigError> {
        let models = match (source, file.models.as_slice()) {
            // The configured name belongs to the configured model.
            (Some(source), [model]) if model.upstream.is_empty() => {
                let mut model = model.clone();
                model.source = Some(source);
                model.name = None;
                vec![model]
            }
            (Some(source), _) => vec![ModelConfig::new(source)],
            (None, _) => file.require_models()?.to_vec(),
        };
        let warnings = file.unsafe_settings();
        Ok(Self {
            warnings,
            server: file.server,
            models,
            upstreams: file.upstreams,
            docs: file.docs,
            log: file.log,
            metrics: file.metrics,
            telemetry: file.telemetry,
            admin: file.admin,
            alerts: file.alerts,
            fence: file.fence,
        })
    }
}

#[cfg(test)]
mod tests;
