//! Scenarios for audit records in any database: each takes a URL, and functions to query or
//! edit the database.

use std::{
    io::{BufRead, Cursor, ErrorKind},
    thread,
    time::Duration,
};

use stockade_audit::{
    AuditLog, ChainKey, EventKind, Journal, JournalBuilder, Overflow, Report, SecurityEvent,
    Verifier,
};
use stockade_core::clock::Timestamp;
use stockade_sqlx::{SqlAuditLog, SqlSink};
use stockade_testkit::{FakeClock, poll::until};

/// Longer than any operation takes on a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Queries one column of strings.
pub(crate) trait Ask: AsyncFn(&'static str) -> Vec<String> {}
impl<F> Ask for F where F: AsyncFn(&'static str) -> Vec<String> {}

pub(crate) fn sink(url: &str) -> SqlSink {
    SqlSink::builder(url).log("app").open().unwrap()
}

fn key() -> ChainKey {
    ChainKey::new("k1", [7; 32]).unwrap()
}

pub(crate) fn chained(sink: SqlSink) -> JournalBuilder {
    Journal::builder(sink, Overflow::DropAndCount).chain(key())
}

pub(crate) fn event(log: &AuditLog, subject: &str) {
    log.event(SecurityEvent::new(EventKind::KeyRevoked).subject(subject.to_owned()));
    // Each event is a separate batch.
    log.flush(TIMEOUT).unwrap();
}

/// Writes an event during an outage, and waits until the journal has detected it.
pub(crate) fn event_during_outage(journal: &Journal, subject: &str) {
    let log = AuditLog::new(journal.clone());
    log.event(SecurityEvent::new(EventKind::KeyRevoked).subject(subject.to_owned()));
    until("the outage is noticed", || journal.stats().failing);
}

const LINES: &str = "SELECT line FROM stockade_audit WHERE log = 'app' ORDER BY position";

pub(crate) async fn verified(ask: &impl Ask) -> Report {
    let head = ask("SELECT head FROM stockade_audit_logs WHERE log = 'app'").await;
    let lines = ask(LINES).await.join("\n") + "\n";
    let mut verifier = Verifier::new([key()]).head(&head[0]);
    verifier.read(Cursor::new(lines)).unwrap();
    verifier.finish()
}

/// Checks that the events around an outage were all kept, in order, in a chain that is intact.
pub(crate) async fn kept_all(ask: impl Ask) {
    let subjects = "SELECT subject FROM stockade_audit WHERE subject IS NOT NULL ORDER BY position";
    assert_eq!(ask(subjects).await, ["before", "meanwhile", "after"]);
    let recovered = "SELECT line FROM stockade_audit WHERE event = 'sink_recovered'";
    assert_eq!(ask(recovered).await.len(), 1);
    let report = verified(&ask).await;
    assert!(report.is_intact(), "{report:?}");
}

async fn findings(ask: &impl Ask) -> Vec<String> {
    let lines = ask(LINES).await;
    let opened = lines.iter().filter(|line| line.contains("\"log_opened\""));
    opened
        .map(|line| {
            line.split("\"past\":\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect()
}

pub(crate) async fn resumes_a_chain(url: &str, ask: impl Ask) {
    for start in ["a", "b"] {
        let log = AuditLog::new(chained(sink(url)).start().unwrap());
        for number in 0..3 {
            event(&log, &format!("{start}{number}"));
        }
        tokio::task::spawn_blocking(|| drop(log)).await.unwrap();
    }
    let report = verified(&ask).await;
    assert!(report.is_intact(), "{report:?}");
    assert_eq!(
        (report.starts, report.lines, report.last_seq),
        (2, 8, Some(8))
    );
    assert_eq!(findings(&ask).await, ["none", "intact"]);
    let subjects =
        ask("SELECT subject FROM stockade_audit WHERE event = 'key_revoked' ORDER BY position")
            .await;
    assert_eq!(subjects, ["a0", "a1", "a2", "b0", "b1", "b2"]);
}

pub(crate) async fn forgets_records_of_a_log_in_use(url: &str, ask: impl Ask) {
    let log = AuditLog::new(chained(sink(url)).start().unwrap());
    for subject in ["team-a", "team-b", "team-a"] {
        event(&log, subject);
    }
    let mut stored = SqlAuditLog::open(url, "app").unwrap();
    let now = Timestamp::from_secs(1_800_000_000);
    let forget = |line: &str| {
        let is_of_person = line.contains("\"team-a\"");
        let forgotten = is_of_person.then(|| key().forget(line.as_bytes(), now))??;
        Some(String::from_utf8(forgotten).unwrap())
    };
    assert_eq!(stored.forget(forget).unwrap(), 2);
    assert_eq!(stored.forget(forget).unwrap(), 0);
    event(&log, "team-c");
    tokio::task::spawn_blocking(|| drop(log)).await.unwrap();

    let report = verified(&ask).await;
    assert!(report.is_intact(), "{report:?}");
    assert_eq!(report.forgotten, 2);
    let subjects = "SELECT subject FROM stockade_audit WHERE subject IS NOT NULL ORDER BY position";
    assert_eq!(ask(subjects).await, ["team-b", "team-c"]);
    let times = "SELECT message FROM stockade_audit WHERE event = 'record_forgotten' \
                 AND at IS NOT NULL AND ends_batch AND line NOT LIKE '%team-a%'";
    assert_eq!(ask(times).await, ["record forgotten"; 2]);
    // A server that starts continues the log.
    drop(chained(sink(url)).start().unwrap());
    assert_eq!(findings(&ask).await, ["none", "intact"]);

    let lines: Result<Vec<_>, _> = stored.reader().unwrap().lines().collect();
    assert_eq!(lines.unwrap(), ask(LINES).await);
    let error = SqlAuditLog::open(url, "other").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

pub(crate) async fn reads_a_log_of_many_chunks(url: &str, ask: impl Ask) {
    let log = AuditLog::new(chained(sink(url)).start().unwrap());
    for number in 0..2_500 {
        log.event(SecurityEvent::new(EventKind::KeyRevoked).subject(number.to_string()));
    }
    log.flush(TIMEOUT).unwrap();
    let mut stored = SqlAuditLog::open(url, "app").unwrap();
    let mut lines = stored.reader().unwrap().lines();
    assert!(lines.next().unwrap().unwrap().contains("log_opened"));
    // Records that are written meanwhile are not part of it.
    event(&log, "later");
    assert_eq!(lines.map(Result::unwrap).count(), 2_500);
    tokio::task::spawn_blocking(|| drop(log)).await.unwrap();
    let lines = stored.reader().unwrap().lines();
    assert_eq!(
        lines.map(Result::unwrap).collect::<Vec<_>>(),
        ask(LINES).await
    );
}

pub(crate) async fn detects_altered_and_deleted_rows(
    url: &str,
    ask: impl Ask,
    edit: impl AsyncFn(&'static str),
) {
    let log = AuditLog::new(chained(sink(url)).start().unwrap());
    event(&log, "innocent");
    drop(log);
    edit("UPDATE stockade_audit SET line = replace(line, 'innocent', 'guilty')").await;
    assert!(!verified(&ask).await.is_intact());
    drop(chained(sink(url)).start().unwrap());
    assert_eq!(findings(&ask).await, ["none", "altered"]);

    edit("DELETE FROM stockade_audit WHERE position >= 2").await;
    let faults = verified(&ask).await.faults;
    assert!(format!("{faults:?}").contains("Truncated"), "{faults:?}");
}

// A17, L01
pub(crate) async fn stores_hostile_text_unchanged(url: &str, ask: impl Ask) {
    let hostile = [
        "'); DROP TABLE stockade_audit; --",
        "$1, ?1, %s, {0}, \\",
        "\"},{\"line\":\"forged",
        "a\r\nb\u{2028}\u{202e}\u{1b}[2J",
        "NUL\0in the middle",
        "😀\u{10ffff}",
    ];
    let log = AuditLog::new(chained(sink(url)).start().unwrap());
    for text in hostile {
        event(&log, text);
    }
    drop(log);
    assert!(verified(&ask).await.is_intact());
    let subjects =
        ask("SELECT subject FROM stockade_audit WHERE event = 'key_revoked' ORDER BY position")
            .await;
    let expected: Vec<_> = hostile
        .iter()
        .map(|text| text.replace('\0', "\u{fffd}"))
        .collect();
    assert_eq!(subjects, expected);
}

pub(crate) async fn removes_old_batches_and_keeps_the_chain_valid(url: &str, ask: impl Ask) {
    let sink = SqlSink::builder(url)
        .log("app")
        .keep(Duration::from_secs(86_400));
    let clock = FakeClock::at(Timestamp::from_secs(1_700_000_000));
    let journal = chained(sink.open().unwrap()).clock(clock.clone());
    let log = AuditLog::new(journal.start().unwrap());
    for number in 0..20 {
        event(&log, &format!("old{number}"));
    }
    let old = "SELECT subject FROM stockade_audit WHERE subject LIKE 'old%' ORDER BY position";
    let left = ask(old).await;
    // The 16th write removed all batches but the newest: the clock is in 2023.
    assert!(
        left.len() < 10 && left.last().unwrap() == "old19",
        "{left:?}"
    );
    let report = verified(&ask).await;
    assert!(report.is_intact(), "{report:?}");
    assert!(report.first_seq > Some(10), "{report:?}");
    drop(log);

    drop(chained(self::sink(url)).start().unwrap());
    assert_eq!(findings(&ask).await, ["intact"]);
}

pub(crate) async fn separates_logs_in_one_table(url: &str, ask: impl Ask) {
    let open = |name: &str| SqlSink::builder(url).log(name).open().unwrap();
    let (app, other) = (
        AuditLog::new(chained(open("app")).start().unwrap()),
        AuditLog::new(chained(open("other")).start().unwrap()),
    );
    for number in 0..5 {
        event(&app, &format!("app{number}"));
        event(&other, &format!("other{number}"));
    }
    drop((app, other));
    let report = verified(&ask).await;
    assert!(report.is_intact() && report.lines == 6, "{report:?}");
}

/// Several journals without a chain can write to one log.
pub(crate) async fn replicas_share_a_log_without_a_chain(url: &str, ask: impl Ask) {
    let threads: Vec<_> = (0..4)
        .map(|replica| {
            let journal = Journal::builder(sink(url), Overflow::DropAndCount);
            let log = AuditLog::new(journal.start().unwrap());
            thread::spawn(move || {
                for number in 0..10 {
                    event(&log, &format!("{replica}-{number}"));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let positions =
        ask("SELECT CAST(position AS text) FROM stockade_audit ORDER BY stockade_audit.position")
            .await;
    let expected: Vec<_> = (1..=44).map(|position| position.to_string()).collect();
    assert_eq!(positions, expected);
}

pub(crate) async fn refuses_invalid_log_names(url: &str) {
    for name in ["", "a\0b", &"x".repeat(65)] {
        SqlSink::builder(url).log(name).open().unwrap_err();
    }
}

pub(crate) async fn refuses_tables_of_a_newer_release(url: &str, edit: impl AsyncFn(&'static str)) {
    drop(sink(url));
    edit("INSERT INTO stockade_audit_migrations (version) VALUES (999)").await;
    let error = SqlSink::builder(url).open().unwrap_err();
    assert!(error.to_string().contains("newer release"), "{error}");
}
