//! A real Redis, and the means to break it.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test needs a part of it"
)]

mod impostor;
mod proxy;
mod server;

use stockade_rate_limit::{Bucket, Decision, LimitStore, OwnedBucket, StoreError, StoreReply};
use stockade_redis::{Redis, RedisConfig};

pub use impostor::Impostor;
pub use proxy::Proxy;
pub use server::Server;

/// Returns an open connection.
pub async fn connect(server: &Server) -> Redis {
    let redis = begin(&server.url());
    redis.connected().await;
    redis
}

/// Returns a connection that may or may not open.
pub fn begin(url: &str) -> Redis {
    Redis::connect(RedisConfig::new(url).unwrap()).unwrap()
}

pub async fn take<S>(store: &S, buckets: &[OwnedBucket]) -> Result<Decision, StoreError>
where
    S: LimitStore,
{
    let buckets: Vec<Bucket<'_>> = buckets.iter().map(OwnedBucket::as_bucket).collect();
    match store.take(&buckets) {
        StoreReply::Ready(decision) => decision,
        StoreReply::Wait(wait) => wait.await,
    }
}
