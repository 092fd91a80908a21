#![doc = include_str!("../README.md")]

mod api;
pub mod backend;
mod cli;
mod config;
mod demo;
mod fence;
mod logging;
mod reload;
mod serve;
mod server;
mod start_error;
pub mod tiny_model;
mod tls;

pub use cli::Cli;
pub use config::{
    Config, DeviceConfig, LogConfig, LogFormat, LogLevel, ModelConfig, QuantiseConfig,
    ServerConfig, TlsConfig, UnknownFields,
};
pub use server::{Server, ShutdownReport, ShutdownSignal};
pub use start_error::StartError;
