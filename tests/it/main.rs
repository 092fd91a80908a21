//! The fence behind real servers, spoken to by real clients over loopback TCP.

mod badge;
mod grpc;
mod house;
mod http1;
