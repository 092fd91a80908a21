//! tower_governor by the peer's address, with rate limit headers.

use std::time::Duration;

use axum::body::Body;
use governor::middleware::StateInformationMiddleware;
use tower_governor::{
    GovernorLayer,
    governor::GovernorConfigBuilder,
    key_extractor::{KeyExtractor, PeerIpKeyExtractor},
};

/// A layer that limits by a key.
pub(crate) type Governor<K> = GovernorLayer<K, StateInformationMiddleware, Body>;

/// A limit that is never reached.
pub(crate) fn unlimited() -> Governor<PeerIpKeyExtractor> {
    unlimited_by(PeerIpKeyExtractor)
}

/// The same by another key.
pub(crate) fn unlimited_by<K>(key: K) -> Governor<K>
where
    K: KeyExtractor,
{
    // The product of both has to be less than 2^64 nanoseconds.
    limit(key, Duration::from_millis(1), 1_000_000_000)
}

/// A limit that the first request uses up.
pub(crate) fn limit_of_one() -> Governor<PeerIpKeyExtractor> {
    limit(PeerIpKeyExtractor, Duration::from_secs(3_600), 1)
}

/// A burst of requests, and one more each period.
fn limit<K>(key: K, period: Duration, burst: u32) -> Governor<K>
where
    K: KeyExtractor,
{
    let config = GovernorConfigBuilder::default()
        .period(period)
        .burst_size(burst)
        .key_extractor(key)
        .use_headers()
        .finish();
    GovernorLayer::new(config.expect("neither is zero"))
}
