//! `[telemetry]`: traces and metrics for an OpenTelemetry collector.

use std::{collections::BTreeMap, env, path::PathBuf};

use serde::{Deserialize, Deserializer, de};
use stockade::ConfigError;

use crate::OtlpEndpoint;

/// `[telemetry]`: what is sent to an OpenTelemetry collector.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TelemetryConfig {
    /// The base URL of the collector; by default that of `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub otlp_endpoint: Option<OtlpEndpoint>,
    /// A file with headers for the collector, such as its credential: one `name: value` per line.
    pub headers_file: Option<PathBuf>,
    /// PEM: certificates of the authority of the collector, in addition to the public ones.
    pub ca_file: Option<PathBuf>,
    /// The share of traces that are recorded; all of them unless `OTEL_TRACES_SAMPLER` is set.
    pub sample_ratio: Option<SampleRatio>,
    /// The attribute `service.name`.
    pub service_name: Option<String>,
    /// Further attributes of the service, such as `deployment.environment.name`.
    pub resource_attributes: BTreeMap<String, String>,
    /// What a `traceparent` of a client decides.
    pub trust_incoming: TrustIncoming,
    /// Whether each guard that checks a request has a span.
    pub guard_spans: bool,
    /// Whether metrics are sent, too.
    pub metrics: bool,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            headers_file: None,
            ca_file: None,
            sample_ratio: None,
            service_name: None,
            resource_attributes: BTreeMap::new(),
            trust_incoming: TrustIncoming::default(),
            guard_spans: false,
            metrics: true,
        }
    }
}

/// The standard variable with the base URL of a collector.
const ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

impl TelemetryConfig {
    /// The base URL of the collector, from the file or the process's environment.
    ///
    /// # Errors
    /// When neither has one, or the variable is invalid.
    pub fn endpoint(&self) -> Result<OtlpEndpoint, ConfigError> {
        const SETTING: &str = "telemetry.otlp_endpoint";
        if let Some(endpoint) = &self.otlp_endpoint {
            return Ok(endpoint.clone());
        }
        match env::var(ENDPOINT_VARIABLE) {
            Ok(text) => text.parse().map_err(|error| {
                ConfigError::setting(SETTING, format!("{ENDPOINT_VARIABLE}: {error}"))
            }),
            Err(_) => {
                let error = ConfigError::setting(SETTING, "there is no collector");
                Err(error.help(format!(
                    "set otlp_endpoint = \"http://127.0.0.1:4318\", or the variable \
                     {ENDPOINT_VARIABLE}"
                )))
            }
        }
    }
}

/// What a `traceparent` of a client decides.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum TrustIncoming {
    /// Nothing: it is ignored.
    Never,
    /// Nothing, but the span has a link to the client's span.
    #[default]
    Link,
    /// The trace of the span, its parent, and whether it is recorded.
    Parent,
}

/// A share of traces, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleRatio(f64);

impl SampleRatio {
    /// The share as a number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for SampleRatio {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        let ratio = f64::deserialize(deserializer)?;
        match (0.0..=1.0).contains(&ratio) {
            true => Ok(Self(ratio)),
            false => Err(de::Error::custom(
                "the share of traces is not from 0 to 1; set one such as 0.1",
            )),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use stockade::{Environment, Format};

    use super::*;
    use crate::ServerFile;

    fn parse(lines: &str) -> Result<TelemetryConfig, ConfigError> {
        let text =
            format!("[model]\nsource = \"./m\"\n[auth]\nkeys_file = \"k\"\n[telemetry]\n{lines}\n");
        let file = ServerFile::parse(&text, Format::Toml, &Environment::default())?;
        Ok(file.telemetry.unwrap())
    }

    #[test]
    fn a_client_decides_nothing_by_default() {
        let config = parse("otlp_endpoint = \"https://otlp.example.com\"").unwrap();
        assert_eq!(config.trust_incoming, TrustIncoming::Link);
        assert!(config.metrics && config.sample_ratio.is_none());
        assert_eq!(
            config.endpoint().unwrap().to_string(),
            "https://otlp.example.com"
        );
    }

    #[test]
    fn refuses_invalid_settings_with_their_line() {
        for (line, why) in [
            ("sample_ratio = 1.5", "not from 0 to 1"),
            ("sample_ratio = nan", "not from 0 to 1"),
            ("trust_incoming = \"always\"", "never, link, parent"),
            (
                "otlp_endpoint = \"http://otlp.example.com:4318\"",
                "unencrypted",
            ),
            ("endpoint = \"http://127.0.0.1:4318\"", "unknown field"),
        ] {
            let message = parse(line).unwrap_err().to_string();
            assert!(
                message.contains("line 6") && message.contains(why),
                "{message}"
            );
        }
        for ratio in ["0", "1", "0.25"] {
            let config = parse(&format!("sample_ratio = {ratio}")).unwrap();
            assert_eq!(config.sample_ratio.unwrap().get().to_string(), ratio);
        }
    }
}
