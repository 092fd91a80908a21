//! Files under everything that happens to files. Unix only: FIFOs, `/dev/full`, inodes.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use stockade_audit::{
    AuditLog, ChainKey, EventKind, FaultKind, FileSink, Fsync, Journal, JournalBuilder, Overflow,
    Report, Rotation, SecurityEvent, Verifier, log_files,
};
use stockade_core::clock::Timestamp;
use stockade_testkit::FakeClock;

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

/// The details of all events, in the order of these files; each line is whole.
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

/// Four threads write 1,000 events each, while something happens to the file again and
/// again. Returns how often it did.
fn under_load(log: &AuditLog, mut happens: impl FnMut() + Send) -> usize {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                scope.spawn(move || {
                    for count in 0..1_000 {
                        event(log, format!("{writer}/{count}"));
                        if count % 50 == 0 {
                            thread::sleep(Duration::from_millis(2));
                        }
                    }
                })
            })
            .collect();
        let done = &done;
        let happening = scope.spawn(move || {
            let mut times = 0;
            while !done.load(Ordering::SeqCst) {
                happens();
                times += 1;
                thread::sleep(Duration::from_millis(5));
            }
            times
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::SeqCst);
        happening.join().unwrap()
    })
}

/// Each event is there once.
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
fn a_file_renamed_under_load_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let log = AuditLog::new(journal(FileSink::open(&path).unwrap()).start().unwrap());
    let mut aside = Vec::new();
    let times = under_load(&log, || {
        let to = folder.path().join(format!("aside-{}", aside.len()));
        if fs::rename(&path, &to).is_ok() {
            aside.push(to);
        }
    });
    log.flush(LONG).unwrap();
    assert!(times > 3);
    // Where nothing came after the last renaming, there is no new file.
    aside.extend(path.exists().then(|| path.clone()));
    assert_complete(&details(&aside));
    let report = verify(&aside, &head(&path));
    assert!(report.is_intact(), "{:?}", report.faults);
}

// L04
#[test]
fn a_file_deleted_under_load_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let log = AuditLog::new(journal(FileSink::open(&path).unwrap()).start().unwrap());
    // What is deleted is gone for readers of the path, so they hold on to it before.
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
    // Where nothing came after the last deletion, there is no new file.
    files.extend(path.exists().then(|| path.clone()));
    assert_complete(&details(&files));
    assert!(verify(&files, &head(&path)).is_intact());
}

// L04
#[test]
fn copying_and_cutting_a_file_loses_only_what_came_between() {
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
    // A copy that was taken while a batch was written ends anywhere in it.
    for copy in &files {
        let text = fs::read_to_string(copy).unwrap();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        fs::write(copy, &text[..whole]).unwrap();
    }
    files.push(path.clone());
    // All lines are whole and single; the numbers say which are gone.
    let details = details(&files);
    let mut single = details.clone();
    single.sort();
    single.dedup();
    assert_eq!(single.len(), details.len(), "doubled");
    let report = verify(&files, &head(&path));
    let gone: u64 = report
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
    assert!(report.lines + gone >= 4_001, "{report:?}");
}

// L04
#[test]
fn a_file_that_nobody_may_open_is_written_on() {
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
fn a_folder_that_goes_and_comes_back_loses_nothing() {
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
fn rotates_by_size_and_the_chain_goes_through_all_files() {
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
fn rotates_by_day_and_keeps_so_many_files() {
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
fn a_restart_goes_on_with_the_chain_and_the_numbers() {
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

/// What a journal that begins says of this file, after this was done to it.
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
fn a_restart_says_how_it_found_the_log() {
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
    assert!(report.first_seq > Some(1), "the numbers go on: {report:?}");

    let (past, _) = finding(|path| fs::remove_file(head(path)).unwrap());
    assert_eq!(past, "headless");
}

#[test]
fn a_key_is_rotated_while_requests_go_on() {
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
#[test]
fn a_full_disk_is_said_and_survived() {
    let sink = FileSink::open("/dev/full").unwrap();
    let builder = Journal::builder(sink, Overflow::DropAndCount).capacity(0);
    let journal = builder.start().unwrap();
    let log = AuditLog::new(journal.clone());
    let start = Instant::now();
    (0..2_000).for_each(|count| event(&log, count));
    while !journal.stats().failing && start.elapsed() < LONG {
        thread::yield_now();
    }
    assert!(log.flush(Duration::from_millis(100)).is_err());
    let stats = journal.stats();
    assert!(stats.failing && stats.dropped > 0, "{stats:?}");
    assert!(stats.last_error.unwrap().contains("No space left"));
    assert!(journal.shutdown(Duration::from_millis(100)).is_err());
    assert!(start.elapsed() < LONG);
    // The events, and the records of the journal's own: that it was opened, and what was
    // lost before the first batch was taken.
    assert!((2_001..=2_002).contains(&journal.stats().dropped));
}

/// Says to this test that it runs under a limit.
const LIMITED: &str = "STOCKADE_AUDIT_LIMITED";

// L03
#[test]
fn a_disk_that_fills_up_in_the_middle_of_a_batch_leaves_whole_lines() {
    const NAME: &str = "a_disk_that_fills_up_in_the_middle_of_a_batch_leaves_whole_lines";
    if std::env::var_os(LIMITED).is_some() {
        return outgrow_the_disk();
    }
    // A limit on the size of files is a disk without room, for one process alone.
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
    assert!(text.ends_with('\n'), "a line is torn");
    assert!(journal.stats().last_error.unwrap().contains("too large"));

    // There is room again, and nothing that fitted into memory was lost.
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
fn an_unread_fifo_holds_nobody_up_and_gets_whole_lines_when_it_is_read() {
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
    assert!(journal.stats().failing);

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
fn what_a_fifo_has_no_room_for_is_written_as_fast_as_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.fifo");
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let journal = journal(FileSink::open(&path).unwrap()).start().unwrap();
    let log = AuditLog::new(journal.clone());
    // A hundred times what a pipe holds.
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
fn new_files_are_for_their_owner_only() {
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
fn a_link_in_place_of_the_new_head_is_not_followed() {
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
fn a_fifo_in_place_of_the_head_holds_no_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let made = Command::new("mkfifo").arg(head(&path)).status().unwrap();
    assert!(made.success());
    let error = journal(FileSink::open(&path).unwrap()).start().unwrap_err();
    assert!(error.to_string().contains("not a regular file"), "{error}");
}
