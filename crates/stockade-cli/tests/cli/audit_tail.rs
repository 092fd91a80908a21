//! `audit tail`.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

use stockade_audit::{AuditLog, log_files};

use crate::{
    audit_logs::{SECRET, TIMEOUT, event, journal, key, request, requests},
    sandbox::Sandbox,
};

#[test]
fn shows_the_newest_records_in_columns() {
    let sandbox = requests();
    let output = sandbox.run_ok("audit tail app.log");
    let lines: Vec<_> = output.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{}", output.stdout);
    assert!(lines[0].contains("POST /old"), "{}", output.stdout);
    assert!(
        lines[1].starts_with("2026-01-31T12:00:01.000Z info  200   250.0 ms 203.0.113.7"),
        "{}",
        lines[1]
    );
    let columns: Vec<_> = lines
        .iter()
        .map(|line| line.find("POST").unwrap())
        .collect();
    assert!(
        columns.iter().all(|column| *column == columns[0]),
        "{}",
        output.stdout
    );
    // Not the incomplete last line.
    assert!(
        output.stderr.contains("skipped 1 invalid line: "),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("app.log:byte"), "{}", output.stderr);

    let output = sandbox.run_ok("audit tail app.log -n 1 --json");
    assert_eq!(output.json()["request_id"], "r-3");
}

#[test]
fn tail_limits_records_by_count_and_time() {
    let sandbox = requests();
    for (flags, expected) in [
        ("", &["r-0", "r-1", "r-2", "r-3"][..]),
        ("--since 2026-01-31T12:00:02Z", &["r-2", "r-3"]),
        ("-n 1", &["r-3"]),
        ("-n 0", &[]),
    ] {
        let output = sandbox.run_ok(&format!("audit tail app.log {flags}"));
        let ids: Vec<_> = output
            .stdout
            .lines()
            .map(|line| line.rsplit_once("request=").unwrap().1)
            .collect();
        assert_eq!(ids, expected, "{flags}");
    }
}

/// A running `audit tail --follow`, ended on drop.
struct Following(Child, Receiver<String>);

impl Following {
    fn start(sandbox: &Sandbox, args: &str) -> Self {
        let mut child = sandbox
            .command(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (give, take) = channel();
        thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .try_for_each(|line| give.send(line))
        });
        Self(child, take)
    }

    fn next(&self) -> String {
        self.1.recv_timeout(TIMEOUT).unwrap()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

// L04
#[test]
fn follows_a_log_across_rotations_without_gaps_or_duplicates() {
    let sandbox = Sandbox::new();
    let log = AuditLog::new(journal(&sandbox, key("1", SECRET)));
    event(&log, "first");
    let following = Following::start(&sandbox, "audit tail audit.log -f");
    // Skips the records that the log writes about itself.
    let next = || {
        let mut lines = std::iter::repeat_with(|| following.next());
        lines.find(|line| line.contains("subject=")).unwrap()
    };
    assert!(next().contains("subject=first"));
    for number in 0..100 {
        event(&log, format!("key-{number}"));
    }
    assert!(log_files(sandbox.path("audit.log")).unwrap().len() > 5);
    for number in 0..100 {
        let line = next();
        assert!(
            line.contains(&format!("subject=key-{number} "))
                || line.ends_with(&format!("subject=key-{number}")),
            "{number}: {line}"
        );
    }
}

#[test]
fn follows_a_truncated_file_and_completes_lines() {
    let sandbox = Sandbox::new();
    let status = r#""status":200"#;
    let (one, two) = (request(1, status), request(2, status));
    let (start, end) = two.split_at(40);
    sandbox.write("app.log", format!("{one}{start}"));
    let following = Following::start(&sandbox, "audit tail app.log -f --json");
    assert!(following.next().contains("\"r-1\""));
    sandbox.write("app.log", format!("{one}{start}{end}"));
    assert!(following.next().contains("\"r-2\""));
    sandbox.write("app.log", request(3, status));
    assert!(following.next().contains("\"r-3\""));
}
