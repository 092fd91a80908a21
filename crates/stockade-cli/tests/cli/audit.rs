//! `audit` on logs written by a journal.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use rexpect::session::spawn_command;
use stockade_audit::{
    AuditLog, ChainKey, EventKind, FileSink, Journal, Overflow, Rotation, SecurityEvent, log_files,
};

use crate::sandbox::Sandbox;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// Far longer than anything takes, so that a busy machine fails no test.
const TIMEOUT: Duration = Duration::from_secs(30);

fn key(id: &str, secret: &str) -> ChainKey {
    ChainKey::new(id, secret).unwrap()
}

/// A journal that rotates its file after a few records.
fn journal(sandbox: &Sandbox, key: ChainKey) -> Journal {
    let sink = FileSink::open(sandbox.path("audit.log")).unwrap();
    let sink = sink.rotation(Rotation::by_size(2_000));
    let journal = Journal::builder(sink, Overflow::DropAndCount).chain(key);
    journal.start().unwrap()
}

fn event(log: &AuditLog, subject: impl Into<String>) {
    log.event(SecurityEvent::new(EventKind::KeyRevoked).subject(subject.into()));
    // Each event is a separate batch.
    log.flush(TIMEOUT).unwrap();
}

/// A sealed log of twenty events in several files, and its key.
fn sealed() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("audit.key", format!("{SECRET}\n"));
    fs::set_permissions(sandbox.path("audit.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let log = AuditLog::new(journal(&sandbox, key("1", SECRET)));
    for number in 0..20 {
        event(&log, format!("key-{number}"));
    }
    drop(log);
    assert!(log_files(sandbox.path("audit.log")).unwrap().len() > 1);
    sandbox
}

/// A record of a request.
fn request(second: u32, fields: &str) -> String {
    format!(
        "{{\"timestamp\":\"2026-01-31T12:00:{second:02}.000000Z\",\"level\":\"info\",\
         \"message\":\"request completed\",\"request_id\":\"r-{second}\",\"method\":\"POST\",\
         {fields},\"seq\":{second}}}\n"
    )
}

/// A log without seals, and with invalid lines.
fn requests() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "app.log.20260131T120001Z-000",
        request(
            0,
            r#""path":"/old","ip":"192.0.2.1","user":null,"status":200,"latency_ms":1.000"#,
        ),
    );
    let chat = r#""path":"/v1/chat","route":"/v1/chat","#;
    let text = [
        request(
            1,
            &format!(
                r#"{chat}"ip":"203.0.113.7","user":"team-core","status":200,"latency_ms":250.000,"outcome":"completed","bytes_in":10,"bytes_out":20,"model":"qwen","prompt_tokens":7,"completion_tokens":9"#
            ),
        ),
        request(
            2,
            &format!(
                r#"{chat}"ip":"203.0.113.8","user":null,"status":401,"latency_ms":0.100,"outcome":"completed","guard":"key_auth","code":"AUTHENTICATION_FAILED","reason":"unknown""#
            ),
        ),
        "not a record\n".to_owned(),
        request(
            3,
            &format!(
                r#"{chat}"ip":"2001:db8::1","user":"b","status":503,"latency_ms":12.500,"outcome":"failed""#
            ),
        ),
        "{\"timestamp\":\"2026-01-31T12:00:04".to_owned(),
    ];
    sandbox.write("app.log", text.concat());
    sandbox
}

const VERIFY: &str = "audit verify audit.log --key-file audit.key";

#[test]
fn accepts_an_intact_log() {
    let sandbox = sealed();
    let output = sandbox.run_ok(VERIFY);
    assert!(
        output.stdout.starts_with("intact: 21 of 21 lines"),
        "{}",
        output.combined()
    );
    assert_eq!(output.stderr, "");
    let json = sandbox.run_ok(&format!("{VERIFY} --json")).json();
    assert_eq!(json["last_record"], 21);
    assert_eq!(json["faults"], serde_json::json!([]));
}

#[test]
fn reports_altered_lines_with_location_and_help() {
    let sandbox = sealed();
    let oldest = log_files(sandbox.path("audit.log")).unwrap().remove(0);
    let text = fs::read_to_string(&oldest).unwrap();
    fs::write(&oldest, text.replace("key-1\"", "key-X\"")).unwrap();
    let output = sandbox.run(VERIFY);
    assert_eq!(output.code, 1, "{}", output.combined());
    let name = oldest.file_name().unwrap().to_str().unwrap();
    for part in [
        &format!("fault: {name}:3: the lines up to the next seal")[..],
        "cause: these lines were changed",
        "help: check the key",
        "NOT INTACT, 1 fault:",
    ] {
        assert!(output.stdout.contains(part), "{part}: {}", output.stdout);
    }
    let output = sandbox.run(&format!("{VERIFY} --json"));
    assert_eq!(output.code, 1);
    let fault = &output.json()["faults"][0];
    assert_eq!(
        (&fault["kind"], &fault["line"]),
        (&"altered".into(), &3.into())
    );
}

#[test]
fn detects_removed_lines_files_and_heads() {
    let sandbox = sealed();
    let newest = sandbox.read("audit.log");
    let last = newest.trim_end().rfind('\n').map_or(0, |at| at + 1);
    sandbox.write("audit.log", &newest[..last]);
    let output = sandbox.run(VERIFY);
    assert_eq!(output.code, 1);
    assert!(
        output.stdout.contains("records 21 to 21 were written"),
        "{}",
        output.stdout
    );

    let sandbox = sealed();
    let inner = log_files(sandbox.path("audit.log")).unwrap().remove(1);
    fs::remove_file(inner).unwrap();
    let output = sandbox.run(&format!("{VERIFY} --json"));
    assert_eq!(output.code, 1);
    let kinds = output.json()["faults"].to_string();
    assert!(
        kinds.contains("\"missing\"") && kinds.contains("\"broken_link\""),
        "{kinds}"
    );

    let sandbox = sealed();
    fs::remove_file(sandbox.path("audit.log.head")).unwrap();
    let output = sandbox.run_ok(VERIFY);
    assert!(
        output.stderr.contains("the log has no head"),
        "{}",
        output.stderr
    );
}

#[test]
fn verifies_across_a_key_change_with_both_keys() {
    let sandbox = Sandbox::new();
    let (old, new) = (SECRET, "fedcba9876543210fedcba9876543210");
    sandbox.write("old.key", old);
    sandbox.write("new.key", new);
    let journal = journal(&sandbox, key("2025", old));
    let log = AuditLog::new(journal.clone());
    event(&log, "a");
    journal.rotate_key(key("2026", new));
    event(&log, "b");
    event(&log, "c");
    drop((log, journal));

    let both = "--key-file old.key --key-id 2025 --key-file new.key --key-id 2026";
    let output = sandbox.run_ok(&format!("audit verify audit.log {both}"));
    assert!(output.stdout.contains("1 key change"), "{}", output.stdout);
    let output = sandbox.run("audit verify audit.log --key-file new.key --key-id 2026");
    assert_eq!(output.code, 1);
    assert!(
        output
            .stdout
            .contains("the key `2025`, which was not given"),
        "{}",
        output.stdout
    );
    sandbox
        .run("audit verify audit.log --key-file old.key --key-file new.key")
        .assert_failed(2, "2 keys but 0 key ids given");
}

#[test]
fn verify_without_a_key_or_log_exits_with_2() {
    let sandbox = sealed();
    sandbox
        .run("audit verify audit.log")
        .assert_failed(2, "STOCKADE_AUDIT_KEY");
    sandbox
        .run("audit verify none.log --key-file audit.key")
        .assert_failed(2, "none.log does not exist");
    sandbox
        .run(&format!("{VERIFY} --head none"))
        .assert_failed(2, "cannot read none");
    sandbox.write("short.key", "short");
    sandbox
        .run("audit verify audit.log --key-file short.key")
        .assert_failed(2, "at least 32 bytes");

    let mut command = sandbox.command("audit verify audit.log");
    let output = command.env("STOCKADE_AUDIT_KEY", SECRET).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

// As in `stockade audit verify … | head`.
#[test]
fn exit_code_survives_a_closed_standard_output() {
    let sandbox = sealed();
    sandbox.write("audit.key", SECRET.to_uppercase());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = sandbox.command(VERIFY).stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

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

// L01
#[test]
fn escapes_records_for_a_terminal() {
    let sandbox = Sandbox::new();
    let hostile = "\\u001b]0;owned\\u0007\\u001b[2J\\r\\n\\u202e\u{202e}\u{9b}2J";
    let line = request(
        1,
        &format!(
            "\"path\":\"/{hostile}\",\"user\":\"{hostile}\",\"status\":200,\
             \"outcome\":\"{hostile}\",\"guard\":\"{hostile}\""
        ),
    );
    // JSON allows a carriage return between tokens.
    let line = line.replacen(",\"level\"", ",\r\t\"level\"", 1);
    sandbox.write("app.log", line + "\u{1b}[31m no record\n");
    for command in [
        "audit tail app.log",
        "audit tail app.log --json",
        "audit stats app.log",
    ] {
        let output = sandbox.run_ok(command).combined();
        let acts = |one: char| (one.is_control() && one != '\n') || one == '\u{202e}';
        assert!(output.contains("owned"), "{command}: {output}");
        assert!(!output.contains(acts), "{command}: {output:?}");
    }
    let output = sandbox.run_ok("audit tail app.log --json");
    assert!(
        output.json()["path"]
            .as_str()
            .unwrap()
            .contains("\u{1b}[2J")
    );
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

#[test]
fn counts_records() {
    let sandbox = requests();
    let totals = sandbox.run_ok("audit stats app.log --json").json();
    for (name, expected) in [
        ("records", 4),
        ("requests", 4),
        ("prompt_tokens", 7),
        ("completion_tokens", 9),
        ("bytes_in", 10),
        ("bytes_out", 20),
    ] {
        assert_eq!(totals[name], expected, "{name}");
    }
    assert_eq!(totals["statuses"]["200"], 2);
    assert_eq!(
        totals["refusals"],
        serde_json::json!({"key_auth AUTHENTICATION_FAILED": 1})
    );
    assert_eq!(
        totals["outcomes"],
        serde_json::json!({"completed": 2, "failed": 1})
    );
    assert_eq!(totals["invalid_lines"]["first"][0], "app.log:3");
    assert_eq!(totals["invalid_lines"]["count"], 1);

    let output = sandbox.run_ok("audit stats app.log --since 2026-01-31T12:00:01Z");
    for part in [
        "REQUESTS  3",
        "200: 1, 401: 1, 503: 1",
        "completed: 2, failed: 1",
        "max 250.0 ms",
        "7 in, 9 out",
        "key_auth AUTHENTICATION_FAILED  1",
    ] {
        assert!(output.stdout.contains(part), "{part}: {}", output.stdout);
    }
    assert!(output.stderr.contains("app.log:3"), "{}", output.stderr);
}

#[test]
fn stats_reads_records_from_standard_input() {
    let sandbox = requests();
    let log = sandbox.read("app.log");
    let selected: String = log
        .lines()
        .filter(|line| line.contains("team-core"))
        .collect();
    let output = sandbox.run_with("audit stats -", &format!("{selected}\nno record\n"));
    assert_eq!(output.code, 0, "{}", output.combined());
    assert!(output.stdout.contains("REQUESTS  1"), "{}", output.stdout);
    assert!(!output.stdout.contains("REFUSALS"), "{}", output.stdout);
    assert!(
        output.stderr.contains("standard input:2"),
        "{}",
        output.stderr
    );
}

// D07
#[test]
fn counts_garbage_without_panicking() {
    let sandbox = Sandbox::new();
    sandbox.write("audit.key", SECRET);
    let garbage = [
        &b"\xff\xfe\x00\n{}\n[]\nnull\n\n"[..],
        b"{\"timestamp\":1}\n",
        &[b'[', b'\n'].repeat(3),
        &vec![b'['; 200_000],
        b"\n",
        b"{\"seq\":99999999999999999999,\"mac\":\"\"}",
    ];
    sandbox.write("app.log", garbage.concat());
    let totals = sandbox.run_ok("audit stats app.log --json").json();
    assert_eq!(totals["invalid_lines"]["count"], 10);
    assert_eq!(totals["records"], 0);
    sandbox.run_ok("audit tail app.log");
    assert_eq!(
        sandbox
            .run("audit verify app.log --key-file audit.key")
            .code,
        1
    );
}

#[test]
fn colours_and_progress_bar_on_terminals_only() {
    let sandbox = requests();
    let seen = |args: &str, no_color: Option<&str>| {
        let mut command = sandbox.command(args);
        command.env("TERM", "xterm");
        if let Some(value) = no_color {
            command.env("NO_COLOR", value);
        }
        spawn_command(command, Some(30_000))
            .unwrap()
            .exp_eof()
            .unwrap()
    };
    assert!(seen("audit tail app.log", None).contains("\u{1b}[33m401"));
    assert!(!seen("audit tail app.log", Some("1")).contains('\u{1b}'));
    assert!(
        !sandbox
            .run_ok("audit tail app.log")
            .stdout
            .contains('\u{1b}')
    );

    // Large enough for a progress bar.
    let line = request(
        5,
        &format!("\"path\":\"/{}\",\"status\":200", "x".repeat(60_000)),
    );
    sandbox.write("long.log", line.repeat(160));
    let stats = seen("audit stats long.log", Some("1"));
    assert!(stats.contains("MiB/s"), "{stats:?}");
    assert!(
        !sandbox
            .run_ok("audit stats long.log")
            .stderr
            .contains("MiB/s")
    );
}

// FS05
#[test]
fn reports_a_key_variable_that_is_not_utf_8() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let sandbox = Sandbox::new();
    sandbox.write("app.log", "");
    let mut command = sandbox.command("audit verify app.log");
    command.env("STOCKADE_AUDIT_KEY", OsStr::from_bytes(b"\xff"));
    let output: crate::sandbox::CommandOutput = command.output().unwrap().into();
    output.assert_failed(2, "STOCKADE_AUDIT_KEY is not UTF-8");
}
