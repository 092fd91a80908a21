//! Tests of the whole server over loopback: the fence, the API, and a tiny model with random
//! weights in mistral.rs.

#![allow(clippy::unwrap_used, reason = "test helpers may panic")]

mod admin;
mod admin_compatibility;
mod audit_failures;
mod chat;
#[cfg(target_os = "linux")]
mod clock;
mod compatibility;
mod connections;
mod credentials;
mod demo_model;
mod descriptors;
mod early_responses;
mod embeddings;
mod environment;
mod headers;
mod health;
mod http1_framing;
mod http2_floods;
mod images;
mod init;
mod lifecycle;
mod limits;
mod memory;
#[cfg(target_os = "linux")]
mod memory_protection;
mod metrics;
mod process;
mod readme;
mod records;
mod refusals;
mod reload;
mod remote_images;
mod replicas;
mod scripted_backend;
mod server_process;
mod sharing;
mod shutdown;
mod slow_clients;
mod test_server;
mod tls;
mod token_charges;
mod unread_bodies;
mod wire;
