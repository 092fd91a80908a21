//! Tests of the fence in real servers, with real clients over loopback TCP.

#![allow(
    clippy::unwrap_used,
    reason = "test helpers; clippy exempts only test functions"
)]

mod badge;
mod either;
mod fence;
mod grpc;
mod grpc_server;
mod http1;
mod http_server;
mod layers;
mod order;
mod own_guards;
mod whole;
