//! Measures decisions per second by a real Redis, and over-admission.
//!
//! 64 requests are in flight in each round. The rounds of all kinds alternate, so that the
//! load of the machine affects all of them; the output is the median, and its ratio to `PING`.
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    io::{self, Write},
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use redis::aio::MultiplexedConnection;
use stockade_rate_limit::{OwnedBucket, Quota};
use stockade_redis::{Redis, RedisLimits};
use support::{Server, connect, take};

const IN_FLIGHT: usize = 64;
const ROUND: Duration = Duration::from_millis(500);
const ROUNDS: usize = 9;

fn main() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run())
}

async fn run() -> io::Result<()> {
    let server = Server::start();
    let redis = connect(&server).await;
    let size = |size| NonZeroU32::new(size).unwrap();
    let kinds = [
        ("strict, one key", Some(RedisLimits::new(&redis)), 1),
        (
            "strict, 10,000 keys",
            Some(RedisLimits::new(&redis)),
            10_000,
        ),
        (
            "lease 10, one key",
            Some(RedisLimits::with_leases(&redis, size(10))),
            1,
        ),
        (
            "lease 100, one key",
            Some(RedisLimits::with_leases(&redis, size(100))),
            1,
        ),
        (
            "lease 10, 64 keys",
            Some(RedisLimits::with_leases(&redis, size(10))),
            64,
        ),
        (
            "lease 100, 64 keys",
            Some(RedisLimits::with_leases(&redis, size(100))),
            64,
        ),
        ("PING", None, 0),
    ];
    let client = redis::Client::open(server.url()).unwrap();
    let ping = client.get_multiplexed_async_connection().await.unwrap();
    let mut rates = vec![Vec::new(); kinds.len()];
    for _ in 0..ROUNDS {
        for ((name, store, keys), rates) in kinds.iter().zip(&mut rates) {
            rates.push(match store {
                Some(store) => decisions(name, store, *keys).await,
                None => pings(&ping).await,
            });
        }
    }
    let medians: Vec<f64> = rates.iter_mut().map(|rates| median(rates)).collect();
    let ping = medians[kinds.len() - 1];
    let mut out = io::stdout().lock();
    for ((name, ..), rate) in kinds.iter().zip(&medians) {
        writeln!(out, "{name:22} {rate:10.0} /s  {:6.2} x PING", rate / ping)?;
    }
    for leases in [0, 10, 100] {
        let (limit, passed) = passed(&redis, leases).await;
        writeln!(
            out,
            "limit {limit}, two stores, leases of {leases}: {passed} allowed"
        )?;
    }
    Ok(())
}

async fn decisions(name: &str, store: &RedisLimits, keys: usize) -> f64 {
    let quota = Quota::per_day(1_000_000_000);
    let buckets = (0..keys).map(|key| [OwnedBucket::new(name, &key.to_string(), quota, 1)]);
    let buckets: Arc<Vec<_>> = Arc::new(buckets.collect());
    rate(|worker, until| {
        let (store, buckets) = (store.clone(), Arc::clone(&buckets));
        async move {
            let mut key = worker * 151;
            let mut done = 0;
            while Instant::now() < until {
                for _ in 0..16 {
                    key = (key + 1) % buckets.len();
                    assert!(take(&store, &buckets[key]).await.unwrap().is_allowed());
                    done += 1;
                }
                // A decision by a lease is never pending and would never let other tasks run.
                tokio::task::yield_now().await;
            }
            done
        }
    })
    .await
}

async fn pings(connection: &MultiplexedConnection) -> f64 {
    rate(|_, until| {
        let mut connection = connection.clone();
        async move {
            let ping = redis::cmd("PING");
            let mut done = 0;
            while Instant::now() < until {
                for _ in 0..16 {
                    let () = ping.query_async(&mut connection).await.unwrap();
                    done += 1;
                }
            }
            done
        }
    })
    .await
}

/// The total rate of all workers.
async fn rate<F>(work: impl Fn(usize, Instant) -> F) -> f64
where
    F: Future<Output = u64> + Send + 'static,
{
    let start = Instant::now();
    let tasks: Vec<_> = (0..IN_FLIGHT)
        .map(|worker| tokio::spawn(work(worker, start + ROUND)))
        .collect();
    let mut done = 0;
    for task in tasks {
        done += task.await.unwrap();
    }
    done as f64 / start.elapsed().as_secs_f64()
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// A limit, and how many requests two stores that share it allow.
async fn passed(redis: &Redis, leases: u32) -> (u32, u64) {
    const LIMIT: u32 = 20_000;
    let bucket = [OwnedBucket::new(
        &format!("passed-{leases}"),
        "all",
        Quota::per_day(LIMIT),
        1,
    )];
    let store = || match NonZeroU32::new(leases) {
        None => RedisLimits::new(redis),
        Some(size) => RedisLimits::with_leases(redis, size),
    };
    let (stores, bucket) = ([store(), store()], Arc::new(bucket));
    let passed = Arc::new(AtomicU64::new(0));
    rate(|worker, until| {
        let (store, bucket) = (stores[worker % 2].clone(), Arc::clone(&bucket));
        let passed = Arc::clone(&passed);
        async move {
            while Instant::now() < until {
                let allowed = take(&store, &bucket[..]).await.unwrap().is_allowed();
                passed.fetch_add(u64::from(allowed), Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
            0
        }
    })
    .await;
    (LIMIT, passed.load(Ordering::Relaxed))
}
