//! The state of upstreams, for operators.

use std::sync::Arc;

use super::BreakerState;

/// The state of the upstreams of one model.
#[derive(Clone, Debug)]
pub struct GroupStatus {
    /// The name of the model.
    pub model: Arc<str>,
    /// The upstreams, in the order of the settings.
    pub upstreams: Vec<UpstreamStatus>,
}

impl GroupStatus {
    /// Whether an upstream would take a request.
    pub fn is_available(&self) -> bool {
        self.upstreams.iter().any(|upstream| upstream.available)
    }
}

/// The state of one upstream.
#[derive(Clone, Debug)]
pub struct UpstreamStatus {
    /// The base URL.
    pub url: Arc<str>,
    /// The state of the circuit breaker.
    pub breaker: BreakerState,
    /// Whether the health checks succeed; true without them.
    pub healthy: bool,
    /// Whether it would take a request: healthy, not paused by a 429, and not refused by the
    /// circuit breaker.
    pub available: bool,
    /// Requests in progress.
    pub in_flight: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// The last failure of a request or a health check.
    pub last_error: Option<Arc<str>>,
}
