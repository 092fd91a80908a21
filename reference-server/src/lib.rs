#![doc = include_str!("../README.md")]

mod admin;
mod alerts;
mod api;
pub mod backend;
mod blocking_pool;
pub mod chat;
mod cli;
mod config;
#[cfg(feature = "mistralrs")]
mod demo;
pub mod dialect;
pub mod embedding;
mod error_chain;
mod fair_queue;
mod fairness;
mod fence;
mod init;
mod logging;
mod memory_protection;
mod models;
mod relay;
mod reload;
mod serve;
mod server;
mod start_error;
mod systemd;
#[cfg(not(feature = "otel"))]
#[path = "telemetry/disabled.rs"]
mod telemetry;
#[cfg(feature = "otel")]
mod telemetry;
#[cfg(feature = "mistralrs")]
pub mod tiny_model;
mod tls;
pub mod upstream;

pub use cli::Cli;
pub use config::{
    AlertCondition, AlertsConfig, ApiConfig, ApiKeyHeader, ClientAuth, Config, DeviceConfig,
    DocsConfig, EngineConfig, LogConfig, LogFormat, LogLevel, MemoryCheck, MetricNames,
    MetricsConfig, ModelConfig, OtlpEndpoint, PagedAttention, QuantiseConfig, SampleRatio,
    ServerConfig, TelemetryConfig, TlsConfig, TrustIncoming, UnknownFields, UpstreamConfig,
    UpstreamsConfig,
};
pub use models::Models;
pub use server::{Server, ShutdownReport, ShutdownSignal};
pub use start_error::StartError;
