//! The fence behind real servers, spoken to by real clients over loopback TCP.

#![allow(
    clippy::unwrap_used,
    reason = "all of this is a test, which clippy sees of test functions only"
)]

mod badge;
mod clinic;
mod either;
mod fence;
mod grpc;
mod house;
mod http1;
mod order;
mod whole;
