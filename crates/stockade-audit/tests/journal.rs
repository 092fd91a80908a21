//! The journal does not block requests, and counts lost records.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{convert::Infallible, io, net::SocketAddr, sync::mpsc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use stockade_audit::{
    AuditLayer, AuditLog, Batch, Coalesce, EventKind, Fsync, Journal, Overflow, RequestBody,
    SecurityEvent, Sink,
};
use stockade_core::{client::PeerAddr, clock::Timestamp};
use stockade_testkit::{
    FakeClock,
    poll::{until, until_async},
};
use support::{Memory, records};
use tower::{Layer, Service, ServiceExt};

const LONG: Duration = Duration::from_secs(10);

type Body = Full<Bytes>;

fn request() -> Request<Body> {
    let peer = PeerAddr::from(SocketAddr::from(([203, 0, 113, 7], 4711)));
    Request::builder()
        .extension(peer)
        .body(Body::default())
        .unwrap()
}

/// A service that responds with this status.
fn answering(
    log: &AuditLog,
    status: StatusCode,
) -> impl Service<
    Request<Body>,
    Response = Response<stockade_audit::ResponseBody<Body>>,
    Error = Infallible,
    Future: Send,
> + Clone
+ use<> {
    let service = tower::service_fn(move |_: Request<RequestBody<Body>>| async move {
        let mut response = Response::new(Body::default());
        *response.status_mut() = status;
        Ok::<_, Infallible>(response)
    });
    AuditLayer::new(log.clone()).layer(service)
}

fn event(detail: impl Into<String>) -> SecurityEvent {
    SecurityEvent::new(EventKind::Banned).detail(detail.into())
}

/// A sink whose writes wait for a permit.
struct Gate(mpsc::Receiver<()>, Memory);

impl Sink for Gate {
    fn write(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        // The sender was dropped: the gate is open.
        let _ = self.0.recv();
        self.1.write(batch)
    }
}

fn gate(memory: &Memory) -> (mpsc::Sender<()>, Gate) {
    let (open, opened) = mpsc::channel();
    (open, Gate(opened, memory.clone()))
}

/// Writes events until the journal is full.
fn fill(log: &AuditLog, capacity: usize) {
    let journal = log.journals().next().unwrap();
    until("the thread waits at the gate with the first batch", || {
        journal.stats().queued_bytes == 0
    });
    while journal.stats().queued_bytes <= capacity / 2 {
        log.event(event("/".repeat(200)));
    }
}

const CAPACITY: usize = 128 * 1_024;

// L03
#[test]
fn drop_and_count_records_the_number_of_lost_records() {
    let memory = Memory::default();
    let (open, gate) = gate(&memory);
    let journal = Journal::builder(gate, Overflow::DropAndCount).capacity(CAPACITY);
    let log = AuditLog::new(journal.start().unwrap());
    const EVENTS: u64 = 5_000;
    for _ in 0..EVENTS {
        log.event(event("/".repeat(200)));
    }
    let journal = log.journals().next().unwrap();
    let dropped = journal.stats().dropped;
    assert!(dropped > 0 && journal.stats().queued_bytes <= CAPACITY);
    drop(open);
    log.flush(LONG).unwrap();
    log.flush(LONG).unwrap();

    let lost = records(&memory, |record| record["event"] == "records_lost");
    let reported: u64 = lost
        .iter()
        .map(|record| record["lost"].as_u64().unwrap())
        .sum();
    let written = records(&memory, |record| record["event"] == "banned").len() as u64;
    assert_eq!(reported, dropped);
    assert_eq!(written + reported, EVENTS);
    let numbers = records(&memory, |_| true)
        .iter()
        .map(|record| record["seq"].as_u64().unwrap())
        .collect::<Vec<_>>();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

// L03
#[tokio::test]
async fn fail_closed_refuses_until_the_sink_recovers() {
    let memory = Memory::default();
    memory.broken(true);
    let journal = Journal::builder(memory.clone(), Overflow::FailClosed)
        .start()
        .unwrap();
    let log = AuditLog::new(journal.clone());
    let service = answering(&log, StatusCode::OK);
    until_async("the failure is noticed", async || journal.stats().failing).await;
    let refused = service.clone().oneshot(request()).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body = refused.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("AUDIT_UNAVAILABLE"));

    memory.broken(false);
    journal.flush(LONG).unwrap();
    let passed = service.oneshot(request()).await.unwrap();
    assert_eq!(passed.status(), StatusCode::OK);
    journal.flush(LONG).unwrap();
    assert!(!journal.stats().failing);
    assert!(
        journal
            .stats()
            .last_error
            .unwrap()
            .contains("simulated failure")
    );
    let outcomes = records(&memory, |record| record.get("method").is_some());
    assert_eq!(outcomes.len(), 2, "the refusal has a record, too");
    assert_eq!(
        (&outcomes[0]["status"], &outcomes[0]["guard"]),
        (&503.into(), &"audit".into())
    );
    assert_eq!(
        records(&memory, |record| record["event"] == "sink_recovered").len(),
        1
    );
}

// L03
#[tokio::test(start_paused = true)]
async fn block_waits_for_space_and_at_most_the_configured_time() {
    let memory = Memory::default();
    let (open, gate) = gate(&memory);
    let at_most = Duration::from_secs(60);
    let journal = Journal::builder(gate, Overflow::Block { at_most }).capacity(CAPACITY);
    let log = AuditLog::new(journal.start().unwrap());
    fill(&log, CAPACITY);
    let service = answering(&log, StatusCode::OK);

    let start = tokio::time::Instant::now();
    let late = service.clone().oneshot(request()).await.unwrap();
    assert_eq!(late.status(), StatusCode::OK);
    assert!(start.elapsed() >= at_most, "{:?}", start.elapsed());

    let waiting = tokio::spawn(service.oneshot(request()));
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(open);
    let start = tokio::time::Instant::now();
    // Keeps the paused clock from advancing while the journal's thread works.
    tokio::task::spawn_blocking(move || log.flush(LONG).unwrap())
        .await
        .unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().status(), StatusCode::OK);
    assert!(start.elapsed() < at_most);
}

// L03
#[test]
fn blocked_sink_delays_neither_events_nor_shutdown() {
    let memory = Memory::default();
    let (open, gate) = gate(&memory);
    let journal = Journal::builder(gate, Overflow::DropAndCount)
        .start()
        .unwrap();
    let log = AuditLog::new(journal.clone());
    for _ in 0..50_000 {
        log.event(event("/".repeat(200)));
    }
    assert!(log.flush(Duration::from_millis(20)).is_err());
    assert!(journal.shutdown(Duration::from_millis(20)).is_err());
    drop(open);
}

// L06
#[tokio::test]
async fn flush_and_shutdown_write_the_counts_of_the_current_second() {
    let memory = Memory::default();
    let clock = FakeClock::at(Timestamp::from_secs(1_769_860_800));
    let journal = Journal::builder(memory.clone(), Overflow::DropAndCount)
        .clock(clock)
        .coalesce(Some(Coalesce::per_second(10, 1_000)))
        .start()
        .unwrap();
    let log = AuditLog::new(journal.clone());
    let service = answering(&log, StatusCode::UNAUTHORIZED);
    let flood = async || {
        for _ in 0..30 {
            drop(service.clone().oneshot(request()).await.unwrap());
        }
    };
    let reported = || -> Vec<u64> {
        let repeated = records(&memory, |record| record["event"] == "repeated");
        let counts = repeated.iter().map(|record| record["repeated"].as_u64());
        counts.map(Option::unwrap).collect()
    };
    flood().await;
    log.flush(LONG).unwrap();
    assert_eq!(reported(), [20]);
    flood().await;
    journal.shutdown(LONG).unwrap();
    // In the same second, so none of them has its own record.
    assert_eq!(reported(), [20, 30]);
}

// L06
#[tokio::test]
async fn coalesces_a_flood_of_refusals() {
    let memory = Memory::default();
    let clock = FakeClock::at(Timestamp::from_secs(1_769_860_800));
    let journal = Journal::builder(memory.clone(), Overflow::DropAndCount)
        .clock(clock.clone())
        .coalesce(Some(Coalesce::per_second(10, 1_000)));
    let log = AuditLog::new(journal.start().unwrap());
    let service = answering(&log, StatusCode::UNAUTHORIZED);
    const SECONDS: usize = 60;
    const EACH: usize = 200;
    for _ in 0..SECONDS {
        for _ in 0..EACH {
            drop(service.clone().oneshot(request()).await.unwrap());
        }
        clock.advance(Duration::from_secs(1));
        log.flush(LONG).unwrap();
    }
    let single = records(&memory, |record| record.get("method").is_some());
    let repeated = records(&memory, |record| record["event"] == "repeated");
    assert_eq!((single.len(), repeated.len()), (SECONDS * 10, SECONDS));
    for record in repeated {
        assert_eq!(record["repeated"], EACH - 10);
        assert_eq!(
            (&record["ip"], &record["status"]),
            (&"203.0.113.7/32".into(), &401.into())
        );
    }
    assert!(
        memory.text().len() / SECONDS < 8 * 1_024,
        "bytes a second are bounded"
    );
    let coalesced = log.journals().next().unwrap().stats().coalesced;
    assert_eq!(coalesced, (SECONDS * (EACH - 10)) as u64);
}

#[tokio::test]
async fn security_events_have_their_own_journal() {
    let (requests, events) = (Memory::default(), Memory::default());
    let journal = |memory: &Memory| {
        let builder = Journal::builder(memory.clone(), Overflow::DropAndCount);
        builder.start().unwrap()
    };
    let log = AuditLog::new(journal(&requests)).security_events(journal(&events));
    for status in [200, 400, 401, 403, 404, 413, 415, 429, 500] {
        let status = StatusCode::from_u16(status).unwrap();
        drop(answering(&log, status).oneshot(request()).await.unwrap());
    }
    log.event(
        SecurityEvent::new(EventKind::KeyRevoked)
            .user("admin")
            .subject("team-core"),
    );
    log.flush(LONG).unwrap();

    let statuses = |memory: &Memory| {
        let requests = records(memory, |record| record.get("method").is_some());
        requests
            .iter()
            .map(|record| record["status"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        statuses(&requests),
        [200, 400, 401, 403, 404, 413, 415, 429, 500]
    );
    assert_eq!(statuses(&events), [401, 403, 413, 415, 429]);
    let is_event = |record: &serde_json::Value| record["event"] == "key_revoked";
    assert!(records(&requests, is_event).is_empty());
    let revoked = records(&events, is_event).remove(0);
    for (field, value) in [
        ("message", "key revoked"),
        ("user", "admin"),
        ("subject", "team-core"),
        ("level", "warn"),
    ] {
        assert_eq!(revoked[field], value);
    }
}

// H01
#[test]
fn shutdown_and_drop_write_remaining_records() {
    for drops in [false, true] {
        let memory = Memory::default();
        let builder = Journal::builder(memory.clone(), Overflow::DropAndCount);
        let journal = builder.linger(Duration::from_secs(3_600)).start().unwrap();
        let log = AuditLog::new(journal.clone());
        for count in 0..1_000 {
            log.event(event(count.to_string()));
        }
        if drops {
            drop((journal, log));
        } else {
            journal.shutdown(LONG).unwrap();
            log.event(event("too late"));
            assert_eq!(journal.stats().dropped, 1);
        }
        assert_eq!(
            records(&memory, |record| record["event"] == "banned").len(),
            1_000
        );
    }
}

// L03
#[test]
fn writes_a_record_right_after_a_batch_without_a_flush() {
    let memory = Memory::default();
    let journal = Journal::builder(memory.clone(), Overflow::DropAndCount);
    let log = AuditLog::new(journal.start().unwrap());
    for word in ["first", "second", "third"] {
        log.event(event(word));
        until(word, || memory.text().contains(word));
    }
}

#[test]
fn writes_many_records_as_one_batch() {
    let memory = Memory::default();
    let builder = Journal::builder(memory.clone(), Overflow::DropAndCount);
    let journal = builder
        .linger(Duration::from_secs(3_600))
        .fsync(Fsync::Never)
        .start()
        .unwrap();
    let log = AuditLog::new(journal);
    (0..100).for_each(|_| log.event(event("x")));
    log.flush(LONG).unwrap();
    assert!(memory.writes() <= 2, "{}", memory.writes());
}

#[test]
fn panicking_sink_does_not_affect_callers() {
    struct Panics;
    impl Sink for Panics {
        fn write(&mut self, _batch: &Batch<'_>) -> io::Result<()> {
            panic!("simulated failure");
        }
    }
    let journal = Journal::builder(Panics, Overflow::DropAndCount)
        .start()
        .unwrap();
    let log = AuditLog::new(journal.clone());
    log.event(event("x"));
    assert!(log.flush(LONG).is_err());
    assert!(journal.shutdown(LONG).is_err());
}

#[test]
fn flush_fails_if_the_sink_cannot_sync() {
    struct Unsynced(u32);
    impl Sink for Unsynced {
        fn write(&mut self, _batch: &Batch<'_>) -> io::Result<()> {
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            self.0 = self.0.saturating_sub(1);
            if self.0 > 0 {
                return Err(io::Error::other("not now"));
            }
            Ok(())
        }
    }
    let builder = Journal::builder(Unsynced(2), Overflow::FailClosed);
    let journal = builder.fsync(Fsync::EveryBatch).start().unwrap();
    assert!(journal.flush(Duration::from_millis(50)).is_err());
    assert!(journal.stats().failing);
    journal.flush(LONG).unwrap();
    assert!(!journal.stats().failing);
    assert_eq!(journal.stats().errors, 1);
}
