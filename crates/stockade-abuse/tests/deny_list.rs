//! The deny-list with a detector, processes and I/O errors.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use stockade_abuse::{AbuseEvent, AbusePolicy, BanStore, DenyList, Detector, Offender};
use stockade_testkit::poll::until;

fn client(text: &str) -> Offender {
    text.parse().unwrap()
}

/// Returns a detector with a deny-list, and its events.
fn detector(path: &Path) -> (Detector, mpsc::Receiver<AbuseEvent>) {
    let (sender, events) = mpsc::channel();
    let list: Arc<dyn BanStore> = Arc::new(DenyList::open(path).unwrap());
    let detector = Detector::builder(AbusePolicy::new())
        .store(list)
        .on_event(move |event| drop(sender.send(event.clone())))
        .build();
    (detector, events)
}

/// Waits for an event of this kind.
fn wait<T>(events: &mpsc::Receiver<AbuseEvent>, wanted: impl Fn(AbuseEvent) -> Option<T>) -> T {
    loop {
        let event = events.recv_timeout(Duration::from_secs(20));
        if let Some(found) = wanted(event.expect("an event")) {
            return found;
        }
    }
}

#[test]
fn existing_bans_are_active_before_the_first_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deny.txt");
    let text = "192.168.1.100  # Blocked: 5 errors in 30s at 2025-11-03 10:30:00\n\
                key:suspicious-client  # Blocked: invalid_image at 2025-11-03 10:31:00\n\
                10.1.0.0/16\n0.0.0.0/0\n";
    fs::write(&path, text).unwrap();
    let (detector, events) = detector(&path);
    assert_eq!(detector.bans().len(), 3);
    assert!(detector.find_ban(&client("10.1.2.3")).is_some());
    assert!(detector.find_ban(&client("10.2.2.3")).is_none());
    assert!(
        detector
            .find_ban(&client("key:suspicious-client"))
            .is_some()
    );
    let counted = wait(&events, |event| match event {
        AbuseEvent::ListLoaded {
            bans,
            skipped_lines,
        } => Some((bans, skipped_lines)),
        _ => None,
    });
    assert_eq!(counted, (3, 1));
}

// D10
#[test]
fn bans_and_unbans_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deny.txt");
    {
        let (detector, _events) = detector(&path);
        detector.ban(client("192.0.2.1"), None, "by hand");
        let hour = Some(Duration::from_secs(3_600));
        detector.ban(client("192.0.2.2"), hour, "by hand");
        detector.ban(client("key:a"), None, "by hand");
        assert!(detector.unban(&client("192.0.2.1")));
    }
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("192.0.2.2  # Blocked: by hand at "), "{text}");
    assert!(text.contains("; until "), "{text}");
    let (detector, _events) = detector(&path);
    let bans = detector.bans();
    let mut bans: Vec<_> = bans.iter().map(|ban| ban.offender.to_string()).collect();
    bans.sort();
    assert_eq!(bans, ["192.0.2.2", "key:a"]);
}

#[test]
fn edits_apply_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deny.txt");
    fs::write(&path, "192.0.2.1\n").unwrap();
    let (detector, events) = detector(&path);
    // Like `sed -i`: replace the file.
    let new = folder.path().join("new");
    fs::write(&new, "192.0.2.2\n").unwrap();
    fs::rename(&new, &path).unwrap();
    wait(&events, |event| match event {
        AbuseEvent::Unbanned(offender) => (offender == client("192.0.2.1")).then_some(()),
        _ => None,
    });
    wait(&events, |event| match event {
        AbuseEvent::Banned(ban) => (ban.offender == client("192.0.2.2")).then_some(()),
        _ => None,
    });
    assert_eq!(detector.bans().len(), 1);
}

// D09
#[test]
fn ban_stays_in_memory_while_the_file_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deny.txt");
    let (detector, events) = detector(&path);
    // A directory in place of the file, because root can write to any file.
    fs::create_dir(&path).unwrap();
    detector.ban(client("192.0.2.1"), None, "by hand");
    let error = wait(&events, |event| match event {
        AbuseEvent::ListFailed { error } => Some(error),
        _ => None,
    });
    assert!(error.contains("deny.txt"), "{error}");
    assert!(detector.find_ban(&client("192.0.2.1")).is_some());
    // Pending bans are written when the file is writable again.
    fs::remove_dir(&path).unwrap();
    wait(&events, |event| match event {
        AbuseEvent::ListLoaded { bans: 1, .. } => Some(()),
        _ => None,
    });
    let source = wait(&events, |event| match event {
        AbuseEvent::ListRecovered { source } => Some(source),
        _ => None,
    });
    assert_eq!(source.as_ref(), path.to_str().unwrap());
    assert!(detector.find_ban(&client("192.0.2.1")).is_some());
    drop(detector);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("192.0.2.1  # "), "{text}");
}

// D09
#[cfg(target_os = "linux")]
#[test]
fn rejects_a_device() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deny.txt");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let error = DenyList::open(&path).unwrap_err();
    assert!(error.to_string().contains("not a regular file"), "{error}");
}

/// Writes a file as editors do, so that no reader sees it empty.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}

// FS01
#[test]
fn reports_each_skipped_line_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deny.txt");
    fs::write(&path, "192.0.2.1\n203.0.113.0/33\n198.51.100.7 Blocked\n").unwrap();
    let (detector, events) = detector(&path);
    let skipped = |event| match event {
        AbuseEvent::LinesSkipped(skipped) => Some(skipped),
        _ => None,
    };
    let reported = wait(&events, skipped);
    assert_eq!(reported.count(), 2);
    assert!(reported.source().contains("deny.txt"), "{reported:?}");
    let lines: Vec<_> = reported.listed().iter().map(ToString::to_string).collect();
    assert!(
        lines[0].starts_with("line 2: the prefix is longer"),
        "{lines:?}"
    );
    assert!(lines[1].contains("put a `#`"), "{lines:?}");
    assert_eq!(detector.stats().skipped_lines, 2);

    // After other edits, the same lines are not reported again.
    let mut edited = fs::read_to_string(&path).unwrap();
    edited.push_str("192.0.2.2\n");
    replace(&path, &edited);
    wait(&events, |event| match event {
        AbuseEvent::LinesSkipped(_) => panic!("reported again"),
        AbuseEvent::ListLoaded { bans: 2, .. } => Some(()),
        _ => None,
    });
    replace(&path, "192.0.2.1\n");
    assert!(wait(&events, skipped).is_empty());
    assert_eq!(detector.stats().skipped_lines, 0);
}

// FS01
#[test]
fn reports_a_missing_list_and_keeps_bans_when_it_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deny.txt");
    let missing = |event| match event {
        AbuseEvent::ListMissing { file } => Some(file),
        _ => None,
    };
    let list = Arc::new(DenyList::open(&path).unwrap());
    let health = list.health().clone();
    let (sender, events) = mpsc::channel();
    let detector = Detector::builder(AbusePolicy::new())
        .store(list)
        .on_event(move |event| drop(sender.send(event.clone())))
        .build();
    assert!(wait(&events, missing).contains("deny.txt"));
    assert!(!health.status().is_failing());

    fs::write(&path, "192.0.2.1 # kept\n").unwrap();
    wait(&events, |event| match event {
        AbuseEvent::Banned(_) => Some(()),
        _ => None,
    });
    fs::remove_file(&path).unwrap();
    assert!(wait(&events, missing).contains("deny.txt"));
    assert!(health.status().is_failing());
    assert!(detector.find_ban(&client("192.0.2.1")).is_some());

    // The next ban creates a new file with the bans of the lost one.
    detector.ban(client("192.0.2.2"), None, "by hand");
    wait(&events, |event| match event {
        AbuseEvent::ListLoaded { bans: 2, .. } => Some(()),
        _ => None,
    });
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("192.0.2.1") && text.contains("192.0.2.2"),
        "{text}"
    );
    until("the list is healthy", || !health.status().is_failing());
}

// FA16
#[cfg(unix)]
#[test]
fn rejects_a_fifo_without_blocking() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deny.txt");
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    for error in [
        DenyList::open(&path).map(drop).unwrap_err(),
        DenyList::check(&path).map(drop).unwrap_err(),
    ] {
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }
}

// FA16: a new file is created at its own path only.
#[cfg(unix)]
#[test]
fn does_not_follow_a_dangling_link() {
    let folder = tempfile::tempdir().unwrap();
    let (path, target) = (folder.path().join("deny.txt"), folder.path().join("target"));
    std::os::unix::fs::symlink(&target, &path).unwrap();
    let (detector, events) = detector(&path);
    detector.ban(client("192.0.2.1"), None, "by hand");
    wait(&events, |event| match event {
        AbuseEvent::ListFailed { error } => Some(error),
        _ => None,
    });
    assert!(!target.exists());
    assert!(detector.find_ban(&client("192.0.2.1")).is_some());
}

/// The path of the file, for the child process that is killed while it writes.
const VICTIM: &str = "STOCKADE_TEST_DENY_LIST";

// D06
#[test]
fn killed_process_leaves_a_readable_file() {
    if let Some(path) = env::var_os(VICTIM) {
        ban_and_unban_for_ever(Path::new(&path));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deny.txt");
    fs::write(&path, "# kept\nkey:kept\n").unwrap();
    for round in 0_u64..25 {
        let modified = || fs::metadata(&path).unwrap().modified().unwrap();
        let before = modified();
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "killed_process_leaves_a_readable_file"])
            .env(VICTIM, &path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        until("the child writes", || modified() != before);
        // Sleeps: kills the child at a different point of a write each time.
        thread::sleep(Duration::from_micros(round * 777));
        child.kill().unwrap();
        child.wait().unwrap();

        let (detector, events) = detector(&path);
        let skipped_lines = wait(&events, |event| match event {
            AbuseEvent::ListLoaded { skipped_lines, .. } => Some(skipped_lines),
            _ => None,
        });
        // The kernel ends a write of several pages at a signal that kills.
        assert!(skipped_lines <= 1, "{skipped_lines}");
        assert!(detector.find_ban(&client("key:kept")).is_some());
        // The end of a line, and of an offender, is not lost unnoticed.
        for ban in detector.bans() {
            let text = ban.offender.to_string();
            assert!(text.len() == OFFENDER_LEN || text == "key:kept", "{text}");
        }
    }
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("# kept\nkey:kept\n"), "{text}");
}

/// The length of the offenders of the child process.
const OFFENDER_LEN: usize = "key:00000000".len();

fn ban_and_unban_for_ever(path: &Path) -> ! {
    let (detector, _events) = detector(path);
    for number in (0..).cycle() {
        let offender = client(&format!("key:{:08}", number % 3_000));
        if number % 3 == 0 {
            detector.unban(&offender);
        } else {
            detector.ban(offender, None, "by the child");
        }
        thread::yield_now();
    }
    unreachable!("it ends by being killed")
}
