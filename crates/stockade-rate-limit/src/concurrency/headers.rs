//! `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11) for requests
//! in flight.

use std::num::NonZeroU32;

use http::HeaderValue;

use crate::headers::{sf_string, value};

/// Formats `"streams";q=4;qu="concurrent-requests"` for each limit.
pub(super) fn policy<'n>(limits: impl Iterator<Item = (&'n str, NonZeroU32)>) -> HeaderValue {
    let items: Vec<_> = limits
        .map(|(name, max)| format!("{};q={max};qu=\"concurrent-requests\"", sf_string(name)))
        .collect();
    value(&items.join(", "))
}

/// Formats `"streams";r=0`, without a reset time, which is unknown.
pub(super) fn exhausted(limit: &str) -> HeaderValue {
    value(&format!("{};r=0", sf_string(limit)))
}
