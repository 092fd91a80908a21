//! `audit forget`.

use std::{fs, os::unix::fs::PermissionsExt};

use stockade_audit::{AuditLog, EventKind, SecurityEvent, log_files};

use crate::{
    audit_logs::{
        SECRET, TIMEOUT, TWO_KEYS, event, journal, key, sealed, sealed_database,
        sealed_with_two_keys,
    },
    sandbox::Sandbox,
};

const FORGET: &str = "audit forget audit.log --key-file audit.key --yes";
const VERIFY: &str = "audit verify audit.log --key-file audit.key";

/// All files of the log.
fn text(sandbox: &Sandbox) -> String {
    let files = log_files(sandbox.path("audit.log")).unwrap();
    files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect()
}

#[test]
fn replaces_records_of_rotated_files_and_keeps_the_log_verifiable() {
    let sandbox = sealed();
    let oldest = log_files(sandbox.path("audit.log")).unwrap().remove(0);
    fs::set_permissions(&oldest, fs::Permissions::from_mode(0o640)).unwrap();
    let modified = fs::metadata(&oldest).unwrap().modified().unwrap();
    let output = sandbox.run_ok(&format!("{FORGET} --user key-1"));
    let name = oldest.file_name().unwrap().to_str().unwrap();
    assert!(
        output.stdout.contains(&format!("{name}: 1 record")),
        "{}",
        output.combined()
    );
    assert!(
        output.stdout.contains("forgotten: 1 record"),
        "{}",
        output.stdout
    );

    let left = text(&sandbox);
    assert!(!left.contains("\"key-1\"") && left.contains("\"key-10\""));
    let changed = fs::metadata(&oldest).unwrap();
    assert_eq!(changed.permissions().mode() & 0o777, 0o640);
    assert_eq!(changed.modified().unwrap(), modified);
    let verified = sandbox.run_ok(VERIFY);
    assert!(
        verified.stdout.starts_with("intact: 21 of 21 lines"),
        "{}",
        verified.combined()
    );
    assert!(
        verified.stderr.contains("replaced 1 record"),
        "{}",
        verified.stderr
    );
    assert_eq!(
        sandbox.run_ok(&format!("{VERIFY} --json")).json()["forgotten"],
        1
    );

    // Once more changes nothing, and a changed line is found as before.
    let again = sandbox
        .run_ok(&format!("{FORGET} --user key-1 --json"))
        .json();
    assert_eq!(again["forgotten"], 0);
    assert_eq!(text(&sandbox), left);
    let line = fs::read_to_string(&oldest).unwrap();
    fs::write(
        &oldest,
        line.replace("record forgotten", "nothing forgotten"),
    )
    .unwrap();
    assert_eq!(sandbox.run(VERIFY).code, 1);
}

#[test]
fn the_current_file_is_changed_on_request_only() {
    let sandbox = sealed();
    let by_path = "audit forget ./audit.log --key-file audit.key --yes --user key-19";
    assert_eq!(sandbox.run(by_path).code, 1);
    let output = sandbox.run(&format!("{FORGET} --user key-19"));
    assert_eq!(output.code, 1, "{}", output.combined());
    assert!(
        output.stderr.contains("1 record left in the current file"),
        "{}",
        output.stderr
    );
    assert!(
        output.stderr.contains("--include-current"),
        "{}",
        output.stderr
    );
    assert!(text(&sandbox).contains("\"key-19\""));

    sandbox.run_ok(&format!("{FORGET} --user key-19 --include-current"));
    assert!(!text(&sandbox).contains("\"key-19\""));
    // A server continues the log.
    let log = AuditLog::new(journal(&sandbox, key("1", SECRET)));
    event(&log, "later");
    drop(log);
    let opened = text(&sandbox);
    let opened = opened
        .lines()
        .rev()
        .find(|line| line.contains("log_opened"))
        .unwrap();
    assert!(opened.contains("\"past\":\"intact\""), "{opened}");
    sandbox.run_ok(VERIFY);
}

#[test]
fn finds_bans_and_addresses() {
    let sandbox = Sandbox::new();
    sandbox.write("audit.key", SECRET);
    let log = AuditLog::new(journal(&sandbox, key("1", SECRET)));
    for subject in [
        "key:team-core",
        "203.0.113.7",
        "2001:db8::1",
        "team-core-2",
        "203.0.113.70",
    ] {
        log.event(SecurityEvent::new(EventKind::Banned).subject(subject));
    }
    let long = "x".repeat(300);
    log.event(SecurityEvent::new(EventKind::KeyRevoked).subject(long.clone()));
    log.flush(TIMEOUT).unwrap();
    drop(log);
    let command = format!(
        "{FORGET} --include-current --json --user team-core --user {long} --ip 203.0.113.7 \
         --ip 2001:DB8:0::1"
    );
    assert_eq!(
        sandbox.run_ok(&format!("{command} --dry-run")).json()["forgotten"],
        4
    );
    assert!(text(&sandbox).contains("key:team-core"));
    assert_eq!(sandbox.run_ok(&command).json()["forgotten"], 4);
    let left = text(&sandbox);
    for (subject, is_left) in [
        ("key:team-core", false),
        ("\"203.0.113.7\"", false),
        ("2001:db8::1", false),
        ("xxx", false),
        ("team-core-2", true),
        ("203.0.113.70", true),
    ] {
        assert_eq!(left.contains(subject), is_left, "{subject}");
    }
    sandbox.run_ok(VERIFY);
}

#[test]
fn signs_with_the_key_in_use() {
    let sandbox = sealed_with_two_keys();
    sandbox.run_ok(&format!(
        "audit forget audit.log {TWO_KEYS} --yes --include-current --user a --user b"
    ));
    let text = text(&sandbox);
    assert_eq!(text.matches("\"proof_key\":\"2026\"").count(), 2, "{text}");
    sandbox.run_ok(&format!("audit verify audit.log {TWO_KEYS}"));
}

#[test]
fn changes_nothing_without_an_intact_log_a_key_or_a_confirmation() {
    let sandbox = sealed();
    let before = text(&sandbox);
    let without_yes = "audit forget audit.log --key-file audit.key --user key-1";
    sandbox
        .run(without_yes)
        .assert_failed(2, "--yes is required");
    sandbox
        .run("audit forget audit.log --user key-1 --yes")
        .assert_failed(2, "STOCKADE_AUDIT_KEY");
    sandbox.run(FORGET).assert_failed(2, "--user <ID>");
    sandbox.write("other.key", "fedcba9876543210fedcba9876543210");
    sandbox
        .run("audit forget audit.log --key-file other.key --user key-1 --yes")
        .assert_failed(2, "is not intact, so nothing was changed");
    assert_eq!(text(&sandbox), before);
    sandbox.write("plain.log", "");
    sandbox
        .run("audit forget plain.log --key-file audit.key --user key-1 --yes")
        .assert_failed(2, "has no sealed record");
}

#[test]
fn forgets_records_of_a_database_that_is_written_to() {
    let sandbox = Sandbox::new();
    let journal = sealed_database(&sandbox);
    let log = "sqlite:audit.db --database-log server-1 --key-file audit.key";
    let forget = format!("audit forget {log} --yes --user key-1");
    let counted = sandbox.run_ok(&format!("{forget} --dry-run"));
    assert_eq!(
        counted.stdout,
        "sqlite:audit.db: 2 records\n2 records would be forgotten\n"
    );
    let output = sandbox.run_ok(&forget);
    assert_eq!(
        output.stdout,
        "sqlite:audit.db: 2 records\nforgotten: 2 records\n"
    );
    event(&AuditLog::new(journal.clone()), "key-3");
    drop(journal);

    let verified = sandbox.run_ok(&format!("audit verify {log}"));
    assert!(
        verified.stdout.starts_with("intact: 5 of 5 lines") && verified.stdout.contains("database"),
        "{}",
        verified.combined()
    );
    assert!(verified.stderr.contains("replaced 2 records"));
    let again = sandbox.run_ok(&format!("{forget} --json")).json();
    assert_eq!(again["forgotten"], 0);

    sandbox
        .run(&format!("{forget} --include-current"))
        .assert_failed(2, "--include-current is for a log in files");
}
