//! The configuration file of `stockade-server`: the sections `[server]`, `[model]` or
//! `[[models]]`, `[upstreams]`, `[docs]`, `[log]`, `[metrics]`, `[telemetry]`, `[admin]` and
//! `[alerts]` in addition to those of [`stockade::Config`].
//!
//! ```sh
//! cargo add stockade-server-config
//! ```
//!
//! The server and `stockade check` both load it with [`ServerFile::read`], so both report the
//! same errors.
//!
//! # Example
//! ```toml
//! [dependencies]
//! stockade = "0.1"
//! stockade-server-config = "0.1"
//! ```
//!
//! ```
//! use stockade::{Environment, Format};
//! use stockade_server_config::ServerFile;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let text = "
//!         server: {listen: 'localhost:8000'}
//!         model: {source: owner/name}
//!         auth: {keys_file: keys.yaml}
//!     ";
//!     let file = ServerFile::parse(text, Format::Yaml, &Environment::default())?;
//!     assert_eq!(file.server.listen.to_string(), "127.0.0.1:8000");
//!
//!     let typo = text.replace("listen", "lisen");
//!     let error = ServerFile::parse(&typo, Format::Yaml, &Environment::default()).unwrap_err();
//!     assert_eq!(error.to_string(), "line 2: unknown field `lisen`; did you mean `listen`?");
//!     Ok(())
//! }
//! ```
//!
//! # See also
//! - [The server](https://github.com/stockade-rs/stockade/blob/main/docs/src/server.md) in the
//!   book.
//! - [`stockade-server`](https://docs.rs/stockade-server) and
//!   [`stockade-cli`](https://docs.rs/stockade-cli) load this file.
//! - [`stockade`](https://docs.rs/stockade) has the other sections.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod alerts;
mod certificate;
mod device;
mod file;
mod image_pixels;
mod listen;
mod model;
mod model_check;
pub mod model_files;
mod ocsp;
mod otlp_endpoint;
mod private_host;
mod secret_files;
mod sections;
mod source;
mod telemetry;
mod upstream;
mod upstream_url;
mod validate;

pub use alerts::{AlertCondition, AlertSeverity, AlertsConfig, WebhookSecret};
pub use certificate::{ExpiryStage, Validity};
pub use device::DeviceConfig;
pub use file::ServerFile;
pub use listen::listen_address;
pub use model::{
    ApiConfig, Coordinates, EngineConfig, MemoryCheck, ModelConfig, OlderImages, PagedAttention,
    QuantiseConfig,
};
pub use model_check::ModelMemory;
pub use ocsp::OcspResponse;
pub use otlp_endpoint::OtlpEndpoint;
pub use sections::{
    ClientAuth, DocsConfig, LogConfig, LogFormat, LogLevel, MetricNames, MetricsConfig,
    ServerConfig, TlsConfig, UnknownFields,
};
pub use source::ModelSource;
pub use telemetry::{SampleRatio, TelemetryConfig, TrustIncoming};
pub use upstream::{ApiKeyHeader, UpstreamConfig, UpstreamsConfig};
pub use upstream_url::UpstreamUrl;

/// A non-zero literal.
macro_rules! nonzero {
    ($number:literal) => {
        const { std::num::NonZero::new($number).expect("a literal over zero") }
    };
}
use nonzero;
