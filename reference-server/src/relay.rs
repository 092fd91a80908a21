//! Relays requests to upstreams that have the API of the request themselves.
//!
//! 1. The bytes that the fence has validated are the bytes that are sent. Only the model's name is
//!    replaced, if the upstream has another one, and `stream_options.include_usage` is set for
//!    streams.
//! 2. Headers are sent in both directions by allow-list. The client's credential never leaves.
//! 3. A stream passes event by event, without being parsed into values. A scanner reads the
//!    usage, the finish reasons and whether the stream is complete; the usage event is removed for
//!    a client that did not ask for it.
//! 4. An object is sent when it is complete, so that a failure of the upstream has a status.
//! 5. Without usage from the upstream, the charge is an estimate, which the record reports.

mod api;
mod error;
mod final_event;
mod headers;
mod known_fields;
mod object;
mod request;
mod request_scan;
mod sse_scanner;
mod stream;
mod usage;

pub use api::RelayApi;
pub(crate) use error::{error_response, invalid_response, upstream_refusal};
pub(crate) use final_event::declare as declare_final_event;
pub(crate) use headers::{has_type, request as request_headers, trace as trace_headers};
pub(crate) use request::RelayRequest;
pub(crate) use request_scan::RequestScan;
