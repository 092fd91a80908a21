//! Tests of the gateway with scripted upstreams; none needs an engine in this process.

#![allow(clippy::unwrap_used, reason = "test helpers may panic")]

mod alerts;
mod dialects;
mod docs;
mod faults;
mod gateway;
mod health_command;
mod metrics;
mod relay;
mod scripted_backend;
#[cfg(feature = "otel")]
mod telemetry;
#[cfg(not(feature = "otel"))]
mod telemetry_disabled;
mod tls;
mod transport;
