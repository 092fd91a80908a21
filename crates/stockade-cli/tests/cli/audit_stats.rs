//! `audit stats`, and what it shares with `audit tail`.

use rexpect::session::spawn_command;

use crate::{
    audit_logs::{SECRET, request, requests},
    sandbox::Sandbox,
};

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
