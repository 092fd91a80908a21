//! Settings of the upstreams that serve one model.

use std::{
    num::{NonZeroU32, NonZeroU64},
    path::PathBuf,
    time::Duration,
};

mod api_key;
mod error;

pub use api_key::{ApiKey, KeyHeader};
pub use error::UpstreamSettingsError;
pub use stockade_server_config::UpstreamUrl;

/// Settings of the upstreams that serve one model.
#[derive(Clone, Debug)]
pub struct GroupSettings {
    /// The upstreams; at least one.
    pub upstreams: Vec<UpstreamSettings>,
    /// Time for name resolution, the connection and the TLS handshake.
    pub connect_timeout: Duration,
    /// Time from the end of the queue to the head of a streamed response. A response that is not
    /// streamed starts when all of it was generated; only the request's deadline limits it.
    pub first_byte_timeout: Duration,
    /// Time between two chunks of a response body.
    pub idle_timeout: Duration,
    /// Maximum size of a response body.
    pub max_response_bytes: NonZeroU64,
    /// Retries as a percentage of requests, at most 100; one a second is always allowed.
    pub retry_budget_percent: u8,
    /// Maximum number of retries of one request.
    pub max_retries: u32,
    /// When an upstream is left alone because of failures.
    pub breaker: BreakerSettings,
    /// Active health checks; `None` turns them off.
    pub health_check: Option<HealthCheckSettings>,
}

impl GroupSettings {
    /// Creates settings with defaults for all but the upstreams.
    pub fn new(upstreams: Vec<UpstreamSettings>) -> Self {
        Self {
            upstreams,
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            max_response_bytes: NonZeroU64::MIN.saturating_add(64 * 1024 * 1024 - 1),
            retry_budget_percent: 20,
            max_retries: 2,
            breaker: BreakerSettings::default(),
            health_check: None,
        }
    }
}

/// Settings of one upstream.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    /// The base URL; the paths of requests are appended to it.
    pub url: UpstreamUrl,
    /// The credential of this upstream.
    pub api_key: Option<ApiKey>,
    /// The header that carries `api_key`.
    pub key_header: KeyHeader,
    /// The share of requests among upstreams of the same priority.
    pub weight: NonZeroU32,
    /// 0 is tried first; higher numbers are fallbacks.
    pub priority: u8,
    /// The name under which the upstream knows the model, if it differs.
    pub model: Option<String>,
    /// Speak HTTP/2: negotiated by ALPN for `https`, with prior knowledge otherwise.
    pub http2: bool,
    /// Maximum number of requests in progress.
    pub max_running: NonZeroU32,
    /// Maximum number of requests that wait; 0 refuses at once.
    pub max_queued: u32,
    /// Maximum time that a request waits.
    pub queue_wait: Duration,
    /// A PEM file with further root certificates, such as those of a private authority.
    pub ca_file: Option<PathBuf>,
}

impl UpstreamSettings {
    /// Creates settings with defaults for all but the URL.
    pub fn new(url: UpstreamUrl) -> Self {
        Self {
            url,
            api_key: None,
            key_header: KeyHeader::default(),
            weight: NonZeroU32::MIN,
            priority: 0,
            model: None,
            http2: false,
            max_running: NonZeroU32::MIN.saturating_add(63),
            max_queued: 256,
            queue_wait: Duration::from_secs(30),
            ca_file: None,
        }
    }
}

/// When an upstream is left alone because of failures, and for how long.
///
/// Failures are connection errors, timeouts, resets, and the statuses 502, 503 and 504.
#[derive(Clone, Copy, Debug)]
pub struct BreakerSettings {
    /// Failures in a row that open the breaker.
    pub consecutive_failures: NonZeroU32,
    /// Percentage of failures among the last [`window`](Self::window) requests that opens the
    /// breaker; more than 100 never does.
    pub failure_percent: u8,
    /// Number of requests that `failure_percent` is computed from; at most 64.
    pub window: NonZeroU32,
    /// How long the breaker stays open at first; doubles with each failed trial.
    pub open_for: Duration,
    /// Maximum of that time.
    pub max_open_for: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            consecutive_failures: NonZeroU32::MIN.saturating_add(4),
            failure_percent: 50,
            window: NonZeroU32::MIN.saturating_add(31),
            open_for: Duration::from_secs(5),
            max_open_for: Duration::from_secs(60),
        }
    }
}

/// Active health checks.
#[derive(Clone, Debug)]
pub struct HealthCheckSettings {
    /// The path, such as `models` below the base URL, or `/health` from the root of the host. A
    /// status of 200 to 299 is a success.
    pub path: String,
    /// Time between two checks; varies by a tenth.
    pub interval: Duration,
    /// Time for one check.
    pub timeout: Duration,
    /// Failures in a row that mark an upstream as unhealthy.
    pub unhealthy_threshold: NonZeroU32,
    /// Successes in a row that mark it as healthy again.
    pub healthy_threshold: NonZeroU32,
}

impl HealthCheckSettings {
    /// Creates settings with defaults for all but the path.
    pub fn new(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            unhealthy_threshold: NonZeroU32::MIN.saturating_add(2),
            healthy_threshold: NonZeroU32::MIN.saturating_add(1),
        }
    }
}
