//! R15: two real processes that share one limit. This program starts itself twice.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    env,
    io::{self, Write},
    num::NonZeroU32,
    process::{Command, Stdio},
};

use stockade_rate_limit::{OwnedBucket, Quota};
use stockade_redis::RedisLimits;
use support::{Server, begin, take};

const LIMIT: u32 = 100;
const TRIES: u32 = 1_000;

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if let [_, role, url, leases] = &arguments[..]
        && role == "replica"
    {
        let passed = replica(url, leases.parse().unwrap());
        io::stdout()
            .write_all(passed.to_string().as_bytes())
            .unwrap();
        return;
    }
    for leases in [0, 5, 10] {
        let passed = together(leases);
        assert!(passed <= LIMIT, "{passed} passed with leases of {leases}");
        // Each may hold a lease that the other would have needed.
        assert!(
            passed >= LIMIT - leases,
            "{passed} passed with leases of {leases}"
        );
    }
}

/// The number of requests that two processes allow.
fn together(leases: u32) -> u32 {
    let server = Server::start();
    let start = || {
        Command::new(env::current_exe().unwrap())
            .args(["replica", &server.url(), &leases.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let replicas = [start(), start()];
    let passed = replicas.map(|replica| {
        let output = replica.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout)
            .unwrap()
            .parse::<u32>()
            .unwrap()
    });
    passed.iter().sum()
}

#[tokio::main]
async fn replica(url: &str, leases: u32) -> u32 {
    let redis = begin(url);
    redis.connected().await;
    let store = match NonZeroU32::new(leases) {
        None => RedisLimits::new(&redis),
        Some(size) => RedisLimits::with_leases(&redis, size),
    };
    let tasks: Vec<_> = (0..TRIES)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let request = [OwnedBucket::new("all", "all", Quota::per_day(LIMIT), 1)];
                take(&store, &request).await.unwrap().is_allowed()
            })
        })
        .collect();
    let mut passed = 0;
    for task in tasks {
        passed += u32::from(task.await.unwrap());
    }
    passed
}
