//! The fence behind real servers, spoken to by real clients over loopback TCP.

#![allow(
    clippy::unwrap_used,
    reason = "all of this is a test, which clippy sees of test functions only"
)]

mod badge;
mod either;
mod fence;
mod grpc;
mod grpc_server;
mod http1;
mod http_server;
mod order;
mod whole;
