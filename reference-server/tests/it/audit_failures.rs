//! Audit logs that cannot be written, with each overflow policy.

use std::{
    fs,
    path::Path,
    process::{Child, Command},
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::Value;
use stockade_testkit::poll::until_async;

use crate::{
    server_process::{ServerProcess, signal},
    test_server::{METRICS_KEY, READER_KEY},
    wire::send_raw,
};

const FAILS: &str = "audit log cannot be written";

/// The capacity of a journal's queue, in bytes.
const QUEUE: f64 = 8_388_608.0;
/// The number of requests on a connection.
const MANY: usize = 500;

/// An `[audit]` section with this file and overflow policy.
fn audit(file: &str, on_overflow: &str) -> String {
    format!("[audit]\nfile = \"{file}\"\non_overflow = \"{on_overflow}\"\n")
}

/// The status and code of a normal request.
async fn asks(server: &ServerProcess) -> (u16, String) {
    let answer = server.get("/v1/models", READER_KEY).send().await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (
        status,
        body["error"]["code"].as_str().unwrap_or("none").to_owned(),
    )
}

/// All complete records of a log.
fn records(log: &Path) -> Vec<Value> {
    let log = fs::read_to_string(log).unwrap_or_default();
    // The last line may be incomplete.
    let lines = log
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("torn: {line:?}")))
        .collect()
}

/// The number of requests with this status.
fn requests(records: &[Value], status: u16) -> usize {
    let of = |record: &&Value| record["method"].is_string() && record["status"] == status;
    records.iter().filter(of).count()
}

/// Pipelined requests with large records.
fn many_requests() -> String {
    let agent = "\"".repeat(256);
    let ask = |connection: &str| {
        format!(
            "GET /v1/models HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {READER_KEY}\r\n\
             user-agent: {agent}\r\nconnection: {connection}\r\n\r\n"
        )
    };
    ask("keep-alive").repeat(MANY - 1) + &ask("close")
}

/// Waits until the log records its recovery.
async fn recovers(log: &Path) {
    until_async("the log has recovered", async || {
        let records = records(log);
        records
            .iter()
            .any(|record| record["event"] == "sink_recovered")
    })
    .await;
}

/// Whether the log cannot be written. Counts its own request if it is served.
async fn fails(server: &ServerProcess, served: &mut usize) -> bool {
    let metrics = server.get("/metrics", METRICS_KEY).send().await.unwrap();
    if metrics.status() == 503 {
        return true;
    }
    *served += 1;
    let metrics = metrics.text().await.unwrap();
    metrics.contains("stockade_audit_failing_journals 1")
}

// L03
#[tokio::test]
async fn a_full_disk_applies_the_overflow_policy() {
    let served = (200, "none".to_owned());
    let refused = (503, "AUDIT_UNAVAILABLE".to_owned());
    for (on_overflow, expected) in [
        ("drop", &served),
        ("block", &served),
        ("fail_closed", &refused),
    ] {
        let mut server = ServerProcess::start(&audit("/dev/full", on_overflow));
        // The journal's opening record is the first to fail.
        let mut asked = 0;
        while !fails(&server, &mut asked).await {
            assert!(asked < 10_000, "the log did not fail");
        }
        for _ in 0..50 {
            assert_eq!(asks(&server).await, *expected, "{on_overflow}");
        }
        if expected == &refused {
            continue;
        }
        let failing = server.metric("stockade_audit_failing_journals").await;
        assert_eq!(failing, Some(1.0));
        let errors = server.metric("stockade_audit_write_errors_total").await;
        assert!(errors > Some(0.0), "{errors:?}");
        if on_overflow == "drop" {
            // Reports the lost records, and exits.
            server.signal("TERM");
            server.wait_for_log("the last records could not be written in time");
            assert_eq!(server.wait_for_exit(), Some(0));
        }
    }
}

// L03
#[tokio::test]
async fn loses_no_record_once_the_disk_has_space_again() {
    for (on_overflow, expected) in [("drop", 200), ("fail_closed", 503)] {
        // A file size limit acts as a full disk for this process only.
        let small_disk = "trap '' XFSZ; ulimit -f 4096";
        let server = ServerProcess::start_after(small_disk, &audit("app.log", on_overflow));
        let many = many_requests();
        let mut served = 0;
        while !fails(&server, &mut served).await {
            let statuses = send_raw(server.address, many.as_bytes()).await.statuses();
            let mut unexpected = statuses.iter().filter(|s| ![200, expected].contains(s));
            assert_eq!(unexpected.next(), None, "{on_overflow}");
            served += statuses.iter().filter(|status| **status == 200).count();
            assert!(served < 100 * MANY, "the log never filled up");
        }
        let said = server.wait_for_log(FAILS);
        assert!(said["error"].as_str().unwrap().contains("too large"));
        for _ in 0..50 {
            assert_eq!(asks(&server).await.0, expected, "{on_overflow}");
            served += usize::from(expected == 200);
        }

        let (log, aside) = (server.file("app.log"), server.file("aside.log"));
        assert!(fs::read_to_string(&log).unwrap().ends_with('\n'), "torn");
        fs::rename(&log, &aside).unwrap();
        recovers(&log).await;
        assert_eq!(asks(&server).await.0, 200);
        served += 1;
        until_async("a record of each answer", async || {
            let of = |log: &Path| requests(&records(log), 200);
            of(&aside) + of(&log) == served
        })
        .await;
    }
}

// L03
#[tokio::test]
async fn the_database_of_the_administration_survives_a_full_disk() {
    // A soft limit, which the test raises.
    let small_disk = "trap '' XFSZ; ulimit -S -f 1024";
    let lines = "[admin]\nlisten = \"127.0.0.1:0\"\n";
    let server = ServerProcess::start_after(small_disk, lines);
    let is_failing = async |value: f64| {
        let failing = server.metric("stockade_audit_failing_journals").await;
        failing == Some(value)
    };
    let many = many_requests();
    let mut rounds = 0;
    while !is_failing(1.0).await {
        let statuses = send_raw(server.address, many.as_bytes()).await.statuses();
        assert_eq!(statuses, [200; MANY]);
        rounds += 1;
        assert!(rounds < 100, "the database never filled up");
    }
    server.wait_for_log(FAILS);
    for _ in 0..50 {
        assert_eq!(asks(&server).await, (200, "none".to_owned()));
    }

    server.limit("fsize=unlimited:");
    until_async("the database has recovered", async || is_failing(0.0).await).await;
    until_async("all records are written", async || {
        server.metric("stockade_audit_queued_bytes").await == Some(0.0)
    })
    .await;
    let dropped = server.metric("stockade_audit_dropped_total").await;
    assert_eq!(dropped, Some(0.0));
    assert_eq!(server.stop(), Some(0));
}

/// A process that copies a FIFO to a file.
struct Reader(Child);

impl Drop for Reader {
    fn drop(&mut self) {
        // Also if a test has failed while the process is stopped.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// L03
#[tokio::test]
async fn counts_the_records_lost_to_a_stalled_reader() {
    let mut reader = None;
    let server = ServerProcess::start_in("", &audit("app.log", "drop"), |folder| {
        let made = Command::new("mkfifo").arg(folder.join("app.log")).status();
        assert!(made.unwrap().success());
        let cat = Command::new("cat")
            .arg(folder.join("app.log"))
            .stdout(fs::File::create(folder.join("read.log")).unwrap())
            .spawn();
        reader = Some(Reader(cat.unwrap()));
    });
    let reader = reader.unwrap();
    let read = server.file("read.log");
    until_async("the first record", async || !records(&read).is_empty()).await;
    signal(&reader.0, "STOP");

    let many = many_requests();
    let asked = AtomicUsize::new(0);
    let lost = async || {
        asked.fetch_add(1, Ordering::Relaxed);
        server.metric("stockade_audit_dropped_total").await > Some(0.0)
    };
    let flood = async || {
        while !lost().await {
            let received = send_raw(server.address, many.as_bytes()).await;
            assert_eq!(received.statuses(), [200; MANY]);
            let before = asked.fetch_add(MANY, Ordering::Relaxed);
            assert!(before < 1_000 * MANY, "the log never filled up");
        }
    };
    let good = async {
        while !lost().await {
            assert_eq!(asks(&server).await.0, 200);
            asked.fetch_add(1, Ordering::Relaxed);
        }
    };
    tokio::join!(flood(), flood(), flood(), good);
    asked.fetch_add(1, Ordering::Relaxed);
    let waiting = server.metric("stockade_audit_queued_bytes").await;
    assert!(waiting <= Some(QUEUE), "{waiting:?} bytes wait");

    signal(&reader.0, "CONT");
    recovers(&read).await;
    until_async("all records, or the number of lost ones", async || {
        let records = records(&read);
        let lost = records.iter().filter_map(|record| record["lost"].as_u64());
        let (lost, kept) = (lost.sum::<u64>(), requests(&records, 200));
        lost > 0 && kept + lost as usize == asked.load(Ordering::Relaxed)
    })
    .await;
    assert_eq!(server.stop(), Some(0));
}
