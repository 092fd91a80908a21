use std::thread;

use super::*;
use contents::{Fault, MAX_TOKENS};

const NOW: Timestamp = Timestamp::from_secs(1_762_160_000);
const DAY: u64 = 24 * 60 * 60;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn parse(text: &str) -> Contents {
    Contents::parse(text.as_bytes(), NOW)
}

fn ids(contents: &Contents) -> Vec<&str> {
    let mut ids: Vec<_> = contents.revoked.keys().map(|id| &**id).collect();
    ids.sort_unstable();
    ids
}

fn revoked(file: &RevocationFile, id: &str) -> bool {
    matches!(file.status(id), RevocationStatus::Revoked)
}

// FS10
#[test]
fn reads_ids_times_and_comments() {
    let text = "# jti exp\n\na\n b 1762166400 # until tomorrow\r\nonrtro:6f-2a 1762166400\nä#1";
    let contents = parse(text);
    assert_eq!(contents.fault, None);
    assert_eq!(ids(&contents), ["a", "b", "onrtro:6f-2a", "ä#1"]);
}

// FS10
#[test]
fn expired_lines_are_dropped_a_day_later() {
    let now = NOW.as_secs();
    let text = format!("a {}\nb {}\n# kept\n", now - DAY, now - DAY + 1);
    let contents = parse(&text);
    assert_eq!(ids(&contents), ["b"]);
    assert_eq!(contents.over, 1);
    assert_eq!(
        contents.kept,
        format!("b {}\n# kept\n", now - DAY + 1).as_bytes()
    );
    // The latest time applies.
    assert_eq!(parse(&format!("a {}\na\n", now - DAY)).over, 1);
    assert_eq!(ids(&parse("a 1762166400\na\n")), ["a"]);
}

// FS10
#[test]
fn reports_invalid_lines() {
    let long = format!("{}\n", "x".repeat(257));
    for line in [
        "a tomorrow",
        "a +1762166400",
        "a -1",
        "a 1762166400.5",
        "a 99999999999999999999",
        "a 1762166400 b",
        "a\u{1} 1762166400",
        &long,
    ] {
        let contents = parse(&format!("good\n{line}\nbetter\n{line}"));
        assert_eq!(ids(&contents), ["better", "good"], "{line:?}");
        let Fault {
            line: at, count, ..
        } = contents.fault.unwrap();
        assert_eq!((at, count), (2, 2), "{line:?}");
    }
    assert_eq!(Contents::parse(b"a\n\xff\n", NOW).fault.unwrap().line, 2);
}

// FS10
#[test]
fn is_bounded() {
    let lines: String = (0..MAX_TOKENS + 2).map(|n| format!("{n}\n")).collect();
    let contents = parse(&lines);
    assert_eq!(contents.revoked.len(), MAX_TOKENS);
    assert_eq!(contents.fault.unwrap().count, 2);

    let folder = folder();
    let path = folder.path().join("revoked.txt");
    fs::write(&path, lines).unwrap();
    let error = RevocationFile::append(&path, "one-more", None, NOW).unwrap_err();
    assert_eq!(error.kind(), RevocationFileErrorKind::Full);
}

// FS10
#[test]
fn appended_token_is_revoked() {
    let folder = folder();
    let path = folder.path().join("revoked.txt");
    let until = Timestamp::from_nanos(NOW.as_nanos() + 1);
    RevocationFile::append(&path, "a", Some(until), NOW).unwrap();
    fs::write(&path, "# no line end").unwrap();
    RevocationFile::append(&path, "b", Some(until), NOW).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, format!("# no line end\nb {}\n", NOW.as_secs() + 1));

    let file = RevocationFile::open(&path, NOW).unwrap();
    assert!(revoked(&file, "b") && !revoked(&file, "a"));
    file.add("c", None, NOW).unwrap();
    assert!(revoked(&file, "c"));
    assert_eq!(RevocationFile::open(&path, NOW).unwrap().len(), 2);
    for id in ["", "a b", "#a", "a\n", &"x".repeat(257)] {
        let error = file.add(id, None, NOW).unwrap_err();
        assert_eq!(error.kind(), RevocationFileErrorKind::Id, "{id:?}");
    }
}

// FS10
#[test]
fn invalid_file_lifts_no_revocation() {
    let folder = folder();
    let path = folder.path().join("revoked.txt");
    fs::write(&path, "a\nb\n").unwrap();
    let file = RevocationFile::open(&path, NOW).unwrap();
    fs::write(&path, "a tomorrow\nc\n").unwrap();
    let error = file.reload(NOW).unwrap_err();
    assert_eq!(error.kind(), RevocationFileErrorKind::Invalid);
    assert!(error.to_string().contains("line 1"), "{error}");
    assert!(["a", "b", "c"].iter().all(|id| revoked(&file, id)));
    assert!(RevocationFile::open(&path, NOW).is_err());

    fs::remove_file(&path).unwrap();
    let error = file.reload(NOW).unwrap_err();
    assert_eq!(error.kind(), RevocationFileErrorKind::Unreadable);
    assert_eq!(file.len(), 3);

    fs::write(&path, "c\n").unwrap();
    file.reload(NOW).unwrap();
    assert!(revoked(&file, "c") && !revoked(&file, "a"));
}

// FS10
#[test]
fn compacts_expired_lines() {
    let folder = folder();
    let path = folder.path().join("revoked.txt");
    let over = NOW.as_secs() - DAY;
    let old: String = (0..COMPACT_THRESHOLD)
        .map(|n| format!("{n} {over}\n"))
        .collect();
    fs::write(&path, format!("# mine\n{old}a\n")).unwrap();
    // A process that was killed has left its new file.
    fs::write(folder.path().join("revoked.txt.new"), "# mi").unwrap();
    RevocationFile::append(&path, "b", None, NOW).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "# mine\na\nb\n");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

// FS10
#[test]
fn concurrent_writers_lose_nothing() {
    let folder = folder();
    let path = folder.path().join("revoked.txt");
    let over = NOW.as_secs() - DAY;
    let old: String = (0..2 * COMPACT_THRESHOLD)
        .map(|n| format!("old-{n} {over}\n"))
        .collect();
    fs::write(&path, old).unwrap();
    thread::scope(|scope| {
        for writer in 0..8 {
            let path = &path;
            scope.spawn(move || {
                for n in 0..10 {
                    RevocationFile::append(path, &format!("{writer}-{n}"), None, NOW).unwrap();
                }
            });
        }
    });
    assert_eq!(RevocationFile::open(&path, NOW).unwrap().len(), 80);
}

// FS10
#[cfg(unix)]
#[test]
fn rejects_special_files_without_blocking() {
    let folder = folder();
    for path in [Path::new("/dev/zero"), folder.path()] {
        let error = RevocationFile::open(path, NOW).unwrap_err();
        assert_eq!(error.kind(), RevocationFileErrorKind::Unreadable);
        assert!(RevocationFile::append(path, "a", None, NOW).is_err());
    }
}
