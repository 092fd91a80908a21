//! Logs that cannot be written: what was chosen for that holds, and nobody else is harmed.

use std::{
    fs,
    path::Path,
    process::{Child, Command},
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::Value;

use crate::{
    server_process::{ServerProcess, signal, wait_until},
    test_server::{METRICS_KEY, READER_KEY},
    wire::send_raw,
};

const FAILS: &str = "the audit log cannot be written";

/// What a journal keeps for better times, in bytes.
const QUEUE: f64 = 8_388_608.0;
/// Requests of one connection.
const MANY: usize = 500;

/// Records go to this file, and this happens where they cannot.
fn audit(file: &str, on_overflow: &str) -> String {
    format!("[audit]\nfile = \"{file}\"\non_overflow = \"{on_overflow}\"\n")
}

/// What the good client is answered.
async fn asks(server: &ServerProcess) -> (u16, String) {
    let answer = server.get("/v1/models", READER_KEY).send().await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (
        status,
        body["error"]["code"].as_str().unwrap_or("none").to_owned(),
    )
}

/// All records of a log, each a whole line.
fn records(log: &Path) -> Vec<Value> {
    let log = fs::read_to_string(log).unwrap_or_default();
    // The last one may just be on its way.
    let lines = log
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("torn: {line:?}")))
        .collect()
}

/// How many of them are requests with this status.
fn requests(records: &[Value], status: u16) -> usize {
    let of = |record: &&Value| record["method"].is_string() && record["status"] == status;
    records.iter().filter(of).count()
}

/// Requests one after the other, whose records take much room.
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

/// Waits until the log says that it can be written again.
async fn recovers(log: &Path) {
    wait_until("a log that can be written", || {
        let records = records(log);
        records
            .iter()
            .any(|record| record["event"] == "sink_recovered")
    })
    .await;
}

/// Whether its log cannot be written; it is asked, and counted, where it answers.
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
async fn a_full_disk_refuses_all_or_nobody_as_was_chosen() {
    let served = (200, "none".to_owned());
    let refused = (503, "AUDIT_UNAVAILABLE".to_owned());
    for (on_overflow, expected) in [
        ("drop", &served),
        ("block", &served),
        ("fail_closed", &refused),
    ] {
        let mut server = ServerProcess::start(&audit("/dev/full", on_overflow));
        // The journal's first record is the first to fail.
        let mut asked = 0;
        while !fails(&server, &mut asked).await {
            assert!(asked < 10_000, "the log can be written");
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
            // It says what is lost with it, and goes.
            server.signal("TERM");
            server.wait_for_log("the last records could not be written in time");
            assert_eq!(server.wait_for_exit(), Some(0));
        }
    }
}

// L03
#[tokio::test]
async fn a_disk_that_fills_up_loses_no_record_once_there_is_room() {
    for (on_overflow, expected) in [("drop", 200), ("fail_closed", 503)] {
        // A limit on the size of files is a disk without room, for this process alone.
        let small_disk = "trap '' XFSZ; ulimit -f 4096";
        let server = ServerProcess::start_after(small_disk, &audit("app.log", on_overflow));
        let many = many_requests();
        let mut served = 0;
        while !fails(&server, &mut served).await {
            let statuses = send_raw(server.address, many.as_bytes()).await.statuses();
            let mut unexpected = statuses.iter().filter(|s| ![200, expected].contains(s));
            assert_eq!(unexpected.next(), None, "{on_overflow}");
            served += statuses.iter().filter(|status| **status == 200).count();
            assert!(served < 100 * MANY, "there is always room");
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
        wait_until("a record of each answer", || {
            let of = |log: &Path| requests(&records(log), 200);
            of(&aside) + of(&log) == served
        })
        .await;
    }
}

/// Reads a FIFO into a file, when it is let.
struct Reader(Child);

impl Drop for Reader {
    fn drop(&mut self) {
        // Also where a test has failed, and it stands still.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// L03
#[tokio::test]
async fn a_reader_that_stands_still_costs_records_and_they_are_counted() {
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
    wait_until("the first record", || !records(&read).is_empty()).await;
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
            assert!(before < 1_000 * MANY, "there is always room");
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
    wait_until("all records, or their number", || {
        let records = records(&read);
        let lost = records.iter().filter_map(|record| record["lost"].as_u64());
        let (lost, kept) = (lost.sum::<u64>(), requests(&records, 200));
        lost > 0 && kept + lost as usize == asked.load(Ordering::Relaxed)
    })
    .await;
    assert_eq!(server.stop(), Some(0));
}
