//! The sections of the configuration file.

use std::{
    net::SocketAddr,
    num::{NonZeroU16, NonZeroU32},
    path::PathBuf,
};

use serde::Deserialize;

use crate::nonzero;

/// `[server]`: the listener and its limits.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The address to listen on.
    #[serde(deserialize_with = "crate::listen::deserialize")]
    pub listen: SocketAddr,
    /// The timeout for a request, from its head to the end of its response.
    pub request_timeout_secs: NonZeroU32,
    /// The timeout for a TLS handshake, and for receiving the head of a request.
    pub header_timeout_secs: NonZeroU32,
    /// The timeout for receiving the body of a request.
    pub body_timeout_secs: NonZeroU32,
    /// How long responses may continue after the signal to stop.
    pub shutdown_grace_secs: u32,
    /// The maximum size of a body in MiB. Images are part of it, and a third larger as base64.
    pub max_body_mb: NonZeroU16,
    /// The maximum number of concurrent connections; further ones wait. Lowered at the start
    /// if the process may not open that many files.
    pub max_connections: NonZeroU32,
    /// The maximum number of concurrent connections of one address, or of one IPv6 prefix
    /// (`client_ip.ipv6_prefix`); further ones are closed. By default, half of all connections.
    /// Trusted proxies have no such limit.
    pub max_connections_per_address: Option<NonZeroU32>,
    /// The handling of unknown fields of a request.
    pub unknown_fields: UnknownFields,
    /// The same as `unknown_fields = "ignore"`.
    pub lenient: bool,
    /// The hosts to serve, such as `api.example.com` or `localhost:8000`; an empty list means
    /// all hosts. An entry without a port matches all ports.
    pub hosts: Vec<String>,
    /// How long reloading the keys may fail before `/health/ready` responds with 503; 0 means
    /// no limit.
    pub stale_keys_timeout_secs: u32,
    /// Allows core dumps, debuggers, and other processes of the same user that read the server's
    /// memory and environment, which contain secrets.
    pub dangerous_allow_debugging: bool,
    /// The TLS certificate; without one the server uses plain HTTP.
    pub tls: Option<TlsConfig>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            request_timeout_secs: nonzero!(300),
            header_timeout_secs: nonzero!(10),
            body_timeout_secs: nonzero!(30),
            shutdown_grace_secs: 30,
            max_body_mb: nonzero!(20),
            max_connections: nonzero!(1_024),
            max_connections_per_address: None,
            unknown_fields: UnknownFields::Refuse,
            lenient: false,
            hosts: Vec::new(),
            stale_keys_timeout_secs: 300,
            dangerous_allow_debugging: false,
            tls: None,
        }
    }
}

impl ServerConfig {
    /// How unknown fields are handled, in either spelling.
    pub fn unknown_fields(&self) -> UnknownFields {
        if self.lenient {
            UnknownFields::Ignore
        } else {
            self.unknown_fields
        }
    }
}

/// The handling of unknown fields of a request and its messages.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum UnknownFields {
    /// Refuse the request.
    #[default]
    Refuse,
    /// Ignore the fields, and list them in the response header `x-stockade-ignored`.
    Ignore,
}

/// `[server.tls]`: the server's certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsConfig {
    /// PEM: the server's certificate, followed by its intermediate certificates.
    pub certificate_file: PathBuf,
    /// PEM: the private key, as PKCS#8, PKCS#1 or SEC1 and without a passphrase.
    pub key_file: PathBuf,
    /// DER: a response of the authority that the certificate is not revoked, which clients receive
    /// with the certificate (OCSP stapling).
    pub ocsp_file: Option<PathBuf>,
    /// PEM: the authorities of client certificates. Without them, clients need no certificate.
    pub client_ca_file: Option<PathBuf>,
    /// PEM: the lists of revoked certificates (CRL) of these authorities and their intermediate
    /// ones. A certificate is refused if one of its chain is in a list, or has no current list.
    pub client_crl_file: Option<PathBuf>,
    /// Whether clients need a certificate of these authorities; required by default.
    pub client_auth: Option<ClientAuth>,
    /// The `max-age` of the header `Strict-Transport-Security` in seconds; 0 omits the header.
    #[serde(default = "TlsConfig::hsts_secs")]
    pub hsts_secs: u32,
}

impl TlsConfig {
    /// The certificate and key in these files, with default settings.
    pub fn new(certificate_file: impl Into<PathBuf>, key_file: impl Into<PathBuf>) -> Self {
        Self {
            certificate_file: certificate_file.into(),
            key_file: key_file.into(),
            ocsp_file: None,
            client_ca_file: None,
            client_crl_file: None,
            client_auth: None,
            hsts_secs: Self::hsts_secs(),
        }
    }

    fn hsts_secs() -> u32 {
        365 * 24 * 60 * 60
    }
}

/// Whether clients need a certificate.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// Connections without a valid certificate are closed.
    #[default]
    Required,
    /// A client may have no certificate, but not an invalid one.
    Optional,
}

/// `[docs]`: the description of the API.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct DocsConfig {
    /// Whether `/openapi.json` and the page `/docs/` are served, to everyone.
    pub allowed: bool,
}

/// `[metrics]`: the metrics in Prometheus' format.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct MetricsConfig {
    /// The address of a listener that serves `/metrics` only, without keys and limits.
    #[serde(deserialize_with = "crate::listen::deserialize_optional")]
    pub listen: Option<SocketAddr>,
    /// Systems under whose names metrics are shown, too.
    pub compatibility: Vec<MetricNames>,
}

/// A system whose dashboards and alerts read its own names of metrics.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MetricNames {
    /// The names of Cortex, `gateway_…`.
    Cortex,
}

/// `[log]`: the log on standard error.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LogConfig {
    /// The format of log lines.
    pub format: LogFormat,
    /// The minimum level of log lines.
    pub level: LogLevel,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object per line.
    #[default]
    Json,
    /// Text for a terminal.
    Text,
}

/// The level of log lines.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Failures.
    Error,
    /// Failures and warnings.
    Warn,
    /// Also requests, and changes of the server's state.
    #[default]
    Info,
    /// Also details for debugging.
    Debug,
}
