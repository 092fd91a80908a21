//! `FileSink` while its file is changed. Unix only: FIFOs, `/dev/full`, inodes.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use stockade_audit::{
    AuditLog, ChainKey, EventKind, FaultKind, FileSink, Fsync, Journal, JournalBuilder, Overflow,
    Report, Rotation, SecurityEvent, Verifier, log_files,
};
use stockade_core::clock::Timestamp;
use stockade_testkit::{FakeClock, poll::until};

const LONG: Duration = Duration::from_secs(10);

fn key() -> ChainKey {
    ChainKey::new("k1", [7; 32]).unwrap()
}

fn journal(sink: FileSink) -> JournalBuilder {
    let builder = Journal::builder(sink, Overflow::DropAndCount);
    builder
        .chain(key())
        .fsync(Fsync::Never)
        .linger(Duration::from_millis(1))
}

fn event(log: &AuditLog, detail: impl ToString) {
    log.event(SecurityEvent::new(EventKind::Banned).detail(detail.to_string()));
}

/// Returns the details of all events, in the order of the files; asserts whole lines.
fn details(files: &[PathBuf]) -> Vec<String> {
    let mut details = Vec::new();
    for file in files {
        for line in BufReader::new(File::open(file).unwrap()).lines() {
            let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            if line["event"] == "banned" {
                details.push(line["detail"].as_str().unwrap().to_owned());
            }
        }
    }
    details
}

fn verify(files: &[PathBuf], head: &Path) -> Report {
    let mut verifier = Verifier::new([key()]).head(&fs::read_to_string(head).unwrap());
    for file in files {
        verifier
            .read(BufReader::new(File::open(file).unwrap()))
            .unwrap();
    }
    verifier.finish()
}

fn head(log: &Path) -> PathBuf {
    PathBuf::from(format!("{}.head", log.display()))
}

/// Four threads log 1,000 events each. After every 50 events, a thread waits for a call of
/// `happens`, while the others go on.
fn under_load(log: &AuditLog, mut happens: impl FnMut()) {
    let (progress, reached) = mpsc::sync_channel(0);
    thread::scope(|scope| {
        for writer in 0..4 {
            let progress = progress.clone();
            scope.spawn(move || {
                for count in 0..1_000 {
                    event(log, format!("{writer}/{count}"));
                    if count % 50 == 0 {
                        progress.send(()).unwrap();
                    }
                }
            });
        }
        drop(progress);
        for () in reached {
            // What was logged before is in the file.
            log.flush(LONG).unwrap();
            happens();
        }
    });
}

/// Asserts that each event was written exactly once.
fn assert_complete(details: &[String]) {
    let mut counts = BTreeMap::new();
    for detail in details {
        *counts.entry(detail).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 4_000, "lost");
    assert!(counts.values().all(|count| *count == 1), "doubled");
}

// L04
#[test]
fn renaming_the_file_under_load_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let log = AuditLog::new(journal(FileSink::open(&path).unwrap()).start().unwrap());
    let mut aside = Vec::new();
    under_load(&log, || {
        let to = folder.path().join(format!("aside-{}", aside.len()));
        if fs::rename(&path, &to).is_ok() {
            aside.push(to);
        }
    });
    log.flush(LONG).unwrap();
    assert!(aside.len() > 3, "{}", aside.len());
    // If no record followed the last rename, there is no new file.
    aside.extend(path.exists().then(|| path.clone()));
    assert_complete(&details(&aside));
    let report = verify(&aside, &head(&path));
    assert!(report.is_intact(), "{:?}", report.faults);
}

// L04
#[test]
fn recreates_a_file_deleted_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let log = AuditLog::new(journal(FileSink::open(&path).unwrap()).start().unwrap());
    // Keep the files open, since a deleted file cannot be read by its path.
    let mut deleted = Vec::new();
    under_load(&log, || {
        if let Ok(file) = File::open(&path) {
            fs::remove_file(&path).unwrap();
            deleted.push(file);
        }
    });
    log.flush(LONG).unwrap();
    let kept = folder.path().join("kept");
    let mut files = Vec::new();
    for (at, mut file) in deleted.into_iter().enumerate() {
        let copy = kept.with_extension(at.to_string());
        std::io::copy(&mut file, &mut File::create(&copy).unwrap()).unwrap();
        files.push(copy);
    }
    // If no record followed the last deletion, there is no new file.
    files.extend(path.exists().then(|| path.clone()));
    assert_complete(&details(&files));
    assert!(verify(&files, &head(&path)).is_intact());
}

// L04
#[test]
fn copytruncate_loses_only_records_in_between() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let sink = FileSink::open(&path).unwrap().external_rotation();
    let log = AuditLog::new(journal(sink).start().unwrap());
    let mut files = Vec::new();
    under_load(&log, || {
        let copy = folder.path().join(format!("copy-{}", files.len()));
        fs::copy(&path, &copy).unwrap();
        OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(0)
            .unwrap();
        files.push(copy);
    });
    log.flush(LONG).unwrap();
    // A copy made during a write may end within a batch.
    for copy in &files {
        let text = fs::read_to_string(copy).unwrap();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        fs::write(copy, &text[..whole]).unwrap();
    }
    files.push(path.clone());
    // All lines are whole and unique; the numbers show the missing ones.
    let details = details(&files);
    let mut single = details.clone();
    single.sort();
    single.dedup();
    assert_eq!(single.len(), details.len(), "doubled");
    let report = verify(&files, &head(&path));
    let missing: u64 = report
        .faults
        .iter()
        .map(|fault| match &fault.kind {
            FaultKind::Missing { from, to } => to - from + 1,
            FaultKind::BrokenLink
            | FaultKind::Altered
            | FaultKind::HeadMismatch
            | FaultKind::Truncated { .. }
            | FaultKind::Unsealed { .. } => 0,
            other => panic!("{other:?}"),
        })
        .sum();
    assert!(report.lines + missing >= 4_001, "{report:?}");
}

// L04
#[test]
fn continues_with_the_open_file_if_it_cannot_be_reopened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let log = AuditLog::new(journal(FileSink::open(&path).unwrap()).start().unwrap());
    under_load(&log, || {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o000);
        fs::set_permissions(&path, mode).unwrap();
    });
    log.flush(LONG).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&path, mode).unwrap();
    assert_complete(&details(&[path]));
}

// L04
#[test]
fn loses_nothing_while_the_directory_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("logs");
    fs::create_dir(&inner).unwrap();
    let path = inner.join("audit.log");
    let log = AuditLog::new(journal(FileSink::open(&path).unwrap()).start().unwrap());
    event(&log, "before");
    log.flush(LONG).unwrap();
    let aside = folder.path().join("aside");
    fs::rename(&inner, &aside).unwrap();
    event(&log, "meanwhile");
    assert!(log.flush(Duration::from_millis(50)).is_err());
    let stats = log.journals().next().unwrap().stats();
    assert!(
        stats.failing && stats.errors > 0 && stats.last_error.is_some(),
        "{stats:?}"
    );
    fs::create_dir(&inner).unwrap();
    event(&log, "after");
    log.flush(LONG).unwrap();
    assert_eq!(
        details(&[aside.join("audit.log"), path]),
        ["before", "meanwhile", "after"]
    );
}

#[test]
fn chain_continues_across_rotation_by_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let rotation = Rotation::by_size(16 * 1_024).keep(1_000);
    let sink = FileSink::open(&path).unwrap().rotation(rotation);
    let log = AuditLog::new(journal(sink).start().unwrap());
    under_load(&log, || {});
    log.flush(LONG).unwrap();
    let files = log_files(&path).unwrap();
    assert!(files.len() > 1, "{}", files.len());
    assert_complete(&details(&files));
    let report = verify(&files, &head(&path));
    assert!(report.is_intact(), "{:?}", report.faults);
    assert_eq!(report.proven, report.lines);
}

#[test]
fn rotates_by_day_and_keeps_the_configured_number_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let clock = FakeClock::at(Timestamp::from_secs(4_000_000_000));
    let sink = FileSink::open(&path).unwrap().clock(clock.clone());
    let sink = sink.rotation(Rotation::by_day().keep(2));
    let log = AuditLog::new(journal(sink).start().unwrap());
    for day in 0..5 {
        for hour in 0..2 {
            event(&log, format!("{day}/{hour}"));
            log.flush(LONG).unwrap();
        }
        clock.advance(Duration::from_secs(86_400));
    }
    let files = log_files(&path).unwrap();
    assert_eq!(files.len(), 3);
    assert_eq!(details(&files), ["2/0", "2/1", "3/0", "3/1", "4/0", "4/1"]);
    let report = verify(&files, &head(&path));
    assert!(report.is_intact(), "{:?}", report.faults);
}

#[test]
fn restart_continues_chain_and_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    for start in 0..3 {
        let journal = journal(FileSink::open(&path).unwrap()).start().unwrap();
        event(&AuditLog::new(journal), start);
    }
    let files = log_files(&path).unwrap();
    let report = verify(&files, &head(&path));
    assert!(report.is_intact(), "{:?}", report.faults);
    assert_eq!(
        (report.starts, report.lines, report.last_seq),
        (3, 6, Some(6))
    );
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches("\"past\":\"none\"").count(), 1);
    assert_eq!(text.matches("\"past\":\"intact\"").count(), 2);
}

/// Returns the finding of a journal that starts after `tamper` changed its file.
fn finding(tamper: impl FnOnce(&Path)) -> (String, Report) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    for detail in ["a", "b"] {
        let log = AuditLog::new(journal(FileSink::open(&path).unwrap()).start().unwrap());
        event(&log, detail);
        log.flush(LONG).unwrap();
        event(&log, detail);
    }
    tamper(&path);
    drop(journal(FileSink::open(&path).unwrap()).start().unwrap());
    let files = log_files(&path).unwrap();
    let text = fs::read_to_string(files.last().unwrap()).unwrap();
    let opened = text
        .lines()
        .rev()
        .find(|line| line.contains("log_opened"))
        .unwrap();
    let opened: serde_json::Value = serde_json::from_str(opened).unwrap();
    (
        opened["past"].as_str().unwrap().to_owned(),
        verify(&files, &head(&path)),
    )
}

#[test]
fn restart_records_the_state_of_the_log() {
    let edit = |path: &Path, edit: &dyn Fn(String) -> String| {
        let text = fs::read_to_string(path).unwrap();
        fs::write(path, edit(text)).unwrap();
    };
    assert_eq!(finding(|_| {}).0, "intact");

    let (past, report) = finding(|path| edit(path, &|text| text + "{\"half of a li"));
    assert_eq!(past, "unproven");
    assert!(report.is_intact() && report.unproven == 1, "{report:?}");

    let (past, report) = finding(|path| edit(path, &|text| text.replacen("\"a\"", "\"b\"", 1)));
    assert_eq!(past, "altered");
    assert!(!report.is_intact());

    let cut = |text: String| {
        let end = text.trim_end().rfind('\n').unwrap();
        text[..=end].to_owned()
    };
    let (past, report) = finding(|path| edit(path, &cut));
    assert_eq!(past, "cut");
    assert!(
        matches!(report.faults[0].kind, FaultKind::Missing { .. }),
        "{report:?}"
    );

    let (past, report) = finding(|path| fs::remove_file(path).unwrap());
    assert_eq!(past, "cut");
    assert!(report.first_seq > Some(1), "numbers continue: {report:?}");

    let (past, _) = finding(|path| fs::remove_file(head(path)).unwrap());
    assert_eq!(past, "headless");
}

#[test]
fn rotates_the_key_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let journal = journal(FileSink::open(&path).unwrap()).start().unwrap();
    let log = AuditLog::new(journal.clone());
    event(&log, "old");
    journal.rotate_key(ChainKey::new("k2", [8; 32]).unwrap());
    log.flush(LONG).unwrap();
    event(&log, "new");
    drop((log, journal));

    let text = fs::read_to_string(&path).unwrap();
    let verify = |keys: Vec<ChainKey>| {
        let mut verifier = Verifier::new(keys).head(&fs::read_to_string(head(&path)).unwrap());
        verifier.read(text.as_bytes()).unwrap();
        verifier.finish()
    };
    let new = ChainKey::new("k2", [8; 32]).unwrap();
    let report = verify(vec![key(), new.clone()]);
    assert!(report.is_intact(), "{:?}", report.faults);
    assert_eq!(report.key_rotations, 1);
    assert!(!verify(vec![new]).is_intact());
}

// L03
#[cfg(target_os = "linux")]
#[test]
fn reports_and_survives_a_full_disk() {
    let sink = FileSink::open("/dev/full").unwrap();
    let builder = Journal::builder(sink, Overflow::DropAndCount).capacity(0);
    let journal = builder.start().unwrap();
    let log = AuditLog::new(journal.clone());
    let start = Instant::now();
    (0..2_000).for_each(|count| event(&log, count));
    until("the failure is noticed", || journal.stats().failing);
    assert!(log.flush(Duration::from_millis(100)).is_err());
    let stats = journal.stats();
    assert!(stats.failing && stats.dropped > 0, "{stats:?}");
    assert!(stats.last_error.unwrap().contains("No space left"));
    assert!(journal.shutdown(Duration::from_millis(100)).is_err());
    assert!(start.elapsed() < LONG);
    // The events and the journal's own records: `log_opened`, and lost records before the
    // first batch.
    assert!((2_001..=2_002).contains(&journal.stats().dropped));
}

/// Tells the test process that it runs with a file size limit.
const LIMITED: &str = "STOCKADE_AUDIT_LIMITED";

// L03
#[test]
fn disk_that_fills_up_within_a_batch_leaves_whole_lines() {
    const NAME: &str = "disk_that_fills_up_within_a_batch_leaves_whole_lines";
    if std::env::var_os(LIMITED).is_some() {
        return outgrow_the_disk();
    }
    // A file size limit simulates a full disk for one process.
    let limited = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", NAME])
        .env(LIMITED, "1")
        .output()
        .unwrap();
    assert!(limited.status.success(), "{limited:?}");
}

fn outgrow_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let journal = journal(FileSink::open(&path).unwrap()).start().unwrap();
    let log = AuditLog::new(journal.clone());
    let until = Instant::now() + LONG;
    let mut events = 0;
    while !journal.stats().failing {
        assert!(Instant::now() < until, "{events} events fit");
        (0..500).for_each(|count| event(&log, events + count));
        events += 500;
        while log.flush(Duration::from_millis(50)).is_err() && !journal.stats().failing {}
    }
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.ends_with('\n'), "a line is incomplete");
    assert!(journal.stats().last_error.unwrap().contains("too large"));

    // With free space, everything that fitted into memory is written.
    let aside = folder.path().join("aside");
    fs::rename(&path, &aside).unwrap();
    log.flush(LONG).unwrap();
    let files = [aside, path.clone()];
    let all: Vec<_> = (0..events).map(|count| count.to_string()).collect();
    assert_eq!(details(&files), all);
    let report = verify(&files, &head(&path));
    assert!(report.is_intact(), "{:?}", report.faults);
}

// L03
#[test]
fn unread_fifo_blocks_no_request_and_later_gets_whole_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    let journal = journal(FileSink::open(&path).unwrap()).start().unwrap();
    let log = AuditLog::new(journal.clone());
    const EVENTS: usize = 2_000;
    (0..EVENTS).for_each(|count| event(&log, count));
    assert!(log.flush(Duration::from_millis(50)).is_err());
    until("the failure is noticed", || journal.stats().failing);

    let reader = {
        let path = path.clone();
        thread::spawn(move || {
            let lines = BufReader::new(File::open(path).unwrap()).lines();
            lines.map(|line| line.unwrap()).collect::<Vec<_>>()
        })
    };
    log.flush(LONG).unwrap();
    drop((log, journal));
    let lines = reader.join().unwrap();
    let mut verifier = Verifier::new([key()]);
    verifier.read((lines.join("\n") + "\n").as_bytes()).unwrap();
    let report = verifier.finish();
    assert!(report.is_intact(), "{:?}", report.faults);
    assert!(lines.len() > EVENTS, "{}", lines.len());
}

// L03
#[test]
fn writes_a_fifo_as_fast_as_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.fifo");
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let journal = journal(FileSink::open(&path).unwrap()).start().unwrap();
    let log = AuditLog::new(journal.clone());
    // A hundred times the capacity of a pipe.
    const EVENTS: usize = 30_000;
    let detail = "x".repeat(200);
    (0..EVENTS).for_each(|_| event(&log, &detail));
    assert!(log.flush(Duration::from_millis(50)).is_err());
    assert_eq!(journal.stats().dropped, 0);

    let reader = thread::spawn(move || BufReader::new(File::open(path).unwrap()).lines().count());
    log.flush(LONG).unwrap();
    drop((log, journal));
    assert!(reader.join().unwrap() > EVENTS);
}

#[test]
fn new_files_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    drop(FileSink::open(&path).unwrap());
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

// FA16
#[test]
fn does_not_follow_a_link_in_place_of_the_new_head() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let victim = folder.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let new = PathBuf::from(format!("{}.new", head(&path).display()));
    std::os::unix::fs::symlink(&victim, &new).unwrap();

    let log = AuditLog::new(journal(FileSink::open(&path).unwrap()).start().unwrap());
    event(&log, 1);
    log.flush(LONG).unwrap();
    drop(log);

    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    let kept = fs::symlink_metadata(head(&path)).unwrap();
    assert!(kept.is_file(), "{kept:?}");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(kept.permissions().mode() & 0o777, 0o600);
    assert!(verify(std::slice::from_ref(&path), &head(&path)).is_intact());
}

// FA16
#[test]
fn fifo_in_place_of_the_head_does_not_block_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let made = Command::new("mkfifo").arg(head(&path)).status().unwrap();
    assert!(made.success());
    let error = journal(FileSink::open(&path).unwrap()).start().unwrap_err();
    assert!(error.to_string().contains("not a regular file"), "{error}");
}
