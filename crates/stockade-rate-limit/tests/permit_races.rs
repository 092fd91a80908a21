//! Tests of the permits in memory with threads that contend for them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use http::Request;
use stockade_core::guard::Head;
use stockade_rate_limit::{
    AcquireError, ConcurrencyLimit, KeyExtractor, MemoryPermit, MemoryPermits, PermitReply,
    PermitStore, QueueTimeout,
};

const MAX: u32 = 2;

/// A limit that all requests share.
fn limit(name: &str) -> ConcurrencyLimit {
    ConcurrencyLimit::new(name, KeyExtractor::global(), NonZeroU32::new(MAX).unwrap())
}

/// Acquires permits of these limits, waiting if needed.
async fn acquire(
    store: &MemoryPermits,
    limits: &[ConcurrencyLimit],
    queue_timeout: Option<QueueTimeout>,
) -> Result<MemoryPermit, AcquireError> {
    let reply = {
        let head = Head::new(Request::new(()).into_parts().0);
        let requests: Vec<_> = limits
            .iter()
            .map(|limit| limit.permit_request(&head).unwrap().unwrap())
            .collect();
        store.acquire(&requests, queue_timeout)
    };
    match reply {
        PermitReply::Ready(permit) => permit,
        PermitReply::Wait(wait) => wait.await,
    }
}

/// Runs tasks that acquire and release permits, and counts those that were granted.
async fn contend(queue_timeout: Option<QueueTimeout>) -> u32 {
    const TASKS: u32 = 8;
    const ROUNDS: u32 = 2_000;
    let store = MemoryPermits::new();
    let in_flight = Arc::new(AtomicU32::new(0));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (store, in_flight) = (store.clone(), Arc::clone(&in_flight));
            tokio::spawn(async move {
                let (one, other) = (limit("one"), limit("other"));
                // Some tasks need one limit, some need two in different orders.
                let limits = match task % 3 {
                    0 => vec![one],
                    1 => vec![one, other],
                    _ => vec![other, one],
                };
                let mut granted = 0;
                for round in 0..ROUNDS {
                    let Ok(permit) = acquire(&store, &limits, queue_timeout).await else {
                        continue;
                    };
                    granted += 1;
                    let before = in_flight.fetch_add(1, Ordering::SeqCst);
                    assert!(before < MAX, "{before} permits were in use");
                    if round % 7 == 0 {
                        tokio::task::yield_now().await;
                    }
                    in_flight.fetch_sub(1, Ordering::SeqCst);
                    drop(permit);
                }
                granted
            })
        })
        .collect();
    let mut granted = 0;
    for task in tasks {
        granted += task.await.unwrap();
    }
    assert_eq!((store.active_keys(), store.waiting()), (0, 0));
    if queue_timeout.is_some() {
        assert_eq!(granted, TASKS * ROUNDS, "a waiting request was forgotten");
    }
    granted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_never_exceed_a_limit() {
    assert!(contend(None).await > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_waiting_request_is_served() {
    let queue_timeout = QueueTimeout::new(Duration::from_secs(600), 100);
    contend(Some(queue_timeout)).await;
}
