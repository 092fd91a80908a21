//! A real Redis, and what it takes to break it.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test needs a part of it"
)]

mod proxy;
mod server;

use stockade_rate_limit::{Bucket, Decision, LimitStore, OwnedBucket, StoreError, StoreReply};
use stockade_redis::{Redis, RedisConfig};

pub use proxy::Proxy;
pub use server::Server;

/// A connection that is there.
pub async fn connect(server: &Server) -> Redis {
    let redis = begin(&server.url());
    redis.connected().await;
    redis
}

/// A connection that may or may not come.
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
