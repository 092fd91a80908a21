//! `[probes]`: health checks.

use serde::Deserialize;
use stockade_rate_limit::Quota;

use super::value;

/// `[probes]`: the health checks of load balancers and supervisors.
///
/// A `GET` or `HEAD` of one of these paths is exempt from bans, authentication and all other
/// limits, so that a busy client behind the same NAT does not remove a server from its load
/// balancer. It is recorded and counted in metrics like every request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ProbesConfig {
    /// Exact paths of public routes; `/health`, `/health/live` and `/health/ready` by
    /// default. Default paths that are not public routes are ignored; any other path must be a
    /// public route. An empty list disables the exemption.
    #[serde(deserialize_with = "value::list")]
    pub paths: Vec<String>,
    /// The limit of probes per address: `"600/minute burst 60"` by default.
    #[serde(deserialize_with = "value::text")]
    pub limit: Quota,
}

impl ProbesConfig {
    /// The paths that are probes by default.
    pub const PATHS: [&str; 3] = ["/health", "/health/live", "/health/ready"];
}

impl Default for ProbesConfig {
    fn default() -> Self {
        Self {
            paths: Self::PATHS.map(str::to_owned).into(),
            limit: Quota::per_minute(600).burst(60),
        }
    }
}
