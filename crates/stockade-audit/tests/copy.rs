//! The copy journal receives every record.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use stockade_audit::{
    AuditLayer, AuditLog, EventKind, Journal, Overflow, RequestBody, SecurityEvent,
};
use stockade_core::{client::PeerAddr, context::ContextGuard, guard::Guard};
use stockade_testkit::poll::until_async;
use support::{Memory, records};
use tower::{ServiceBuilder, ServiceExt};

const PATIENCE: Duration = Duration::from_secs(10);

fn journal(memory: &Memory) -> Journal {
    let journal = Journal::builder(memory.clone(), Overflow::DropAndCount);
    journal.start().unwrap()
}

/// Sends a request to a handler that responds with this status; returns the actual status.
async fn ask(log: &AuditLog, status: u16) -> u16 {
    let service = ServiceBuilder::new()
        .layer(ContextGuard::new().into_layer())
        .layer(AuditLayer::new(log.clone()))
        .service_fn(move |_: Request<RequestBody<Full<Bytes>>>| async move {
            let response = Response::builder().status(status);
            Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
        });
    let peer = PeerAddr::from(SocketAddr::from(([203, 0, 113, 7], 4711)));
    let request = Request::builder().extension(peer);
    let response = service
        .oneshot(request.body(Full::default()).unwrap())
        .await;
    let response = response.unwrap();
    let status = response.status().as_u16();
    response.into_body().collect().await.unwrap();
    status
}

/// Returns the statuses of requests and the names of events, without those of the journal.
fn kinds(memory: &Memory) -> Vec<String> {
    let records = records(memory, |record| record["event"] != "log_opened");
    let kind = |record: &serde_json::Value| {
        let status = record["status"].as_u64().map(|status| status.to_string());
        status.unwrap_or_else(|| record["event"].as_str().unwrap().to_owned())
    };
    records.iter().map(kind).collect()
}

#[tokio::test]
async fn copy_contains_requests_and_events() {
    let (requests, events, copy) = (Memory::default(), Memory::default(), Memory::default());
    let log = AuditLog::new(journal(&requests))
        .security_events(journal(&events))
        .copy(journal(&copy));
    ask(&log, 200).await;
    ask(&log, 401).await;
    log.event(SecurityEvent::new(EventKind::KeyRevoked));
    log.flush(PATIENCE).unwrap();
    assert_eq!(kinds(&requests), ["200", "401"]);
    assert_eq!(kinds(&events), ["401", "key_revoked"]);
    assert_eq!(kinds(&copy), ["200", "401", "key_revoked"]);
}

#[tokio::test]
async fn copy_contains_the_number_of_coalesced_refusals() {
    let (requests, copy) = (Memory::default(), Memory::default());
    let log = AuditLog::new(journal(&requests)).copy(journal(&copy));
    for _ in 0..40 {
        ask(&log, 401).await;
    }
    log.flush(PATIENCE).unwrap();
    for memory in [&requests, &copy] {
        let all = records(memory, |record| record["event"] != "log_opened");
        let count = |record: &serde_json::Value| record["repeated"].as_u64().unwrap_or(1);
        assert_eq!(all.iter().map(count).sum::<u64>(), 40);
        assert!(all.len() < 40);
    }
}

#[tokio::test]
async fn failing_copy_does_not_delay_other_journals() {
    let (requests, copy) = (Memory::default(), Memory::default());
    copy.broken(true);
    let own = journal(&requests);
    let log = AuditLog::new(own.clone()).copy(journal(&copy));
    ask(&log, 200).await;
    own.flush(PATIENCE).unwrap();
    assert_eq!(kinds(&requests), ["200"]);
    assert_eq!(kinds(&copy).len(), 0);

    copy.broken(false);
    log.flush(PATIENCE).unwrap();
    assert_eq!(kinds(&copy)[0], "200");
}

// L03
#[tokio::test]
async fn overflow_of_the_copy_applies_to_all_requests() {
    let (requests, copy) = (Memory::default(), Memory::default());
    copy.broken(true);
    let closed = Journal::builder(copy.clone(), Overflow::FailClosed);
    let closed = closed.start().unwrap();
    let log = AuditLog::new(journal(&requests)).copy(closed.clone());
    log.event(SecurityEvent::new(EventKind::KeyRevoked));
    until_async("the failure is noticed", async || closed.stats().failing).await;
    assert_eq!(ask(&log, 200).await, 503);
    copy.broken(false);
    log.flush(PATIENCE).unwrap();
    assert_eq!(ask(&log, 200).await, 200);
}
