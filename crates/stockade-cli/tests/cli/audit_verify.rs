//! `audit verify`.

use std::fs;

use stockade_audit::log_files;

use crate::{
    audit_logs::{SECRET, TWO_KEYS, sealed, sealed_database, sealed_with_two_keys},
    sandbox::{CommandOutput, Sandbox},
};

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
    let sandbox = sealed_with_two_keys();
    let output = sandbox.run_ok(&format!("audit verify audit.log {TWO_KEYS}"));
    assert!(output.stdout.contains("1 key change"), "{}", output.stdout);
    let output = sandbox.run("audit verify audit.log --key-file new.key --key-id 2026");
    assert_eq!(output.code, 1);
    assert!(
        output.stdout.contains("the unknown key `2025`"),
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
        .assert_failed(2, "at least 32 random bytes");

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

// FS05
#[test]
fn reports_a_key_variable_that_is_not_utf_8() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let sandbox = Sandbox::new();
    sandbox.write("app.log", "");
    let mut command = sandbox.command("audit verify app.log");
    command.env("STOCKADE_AUDIT_KEY", OsStr::from_bytes(b"\xff"));
    let output: CommandOutput = command.output().unwrap().into();
    output.assert_failed(2, "STOCKADE_AUDIT_KEY is not UTF-8");
}

#[test]
fn verifies_a_database() {
    let sandbox = Sandbox::new();
    drop(sealed_database(&sandbox));
    let verify = "audit verify sqlite:audit.db --key-file audit.key --database-log server-1";
    let output = sandbox.run_ok(verify);
    assert!(
        output.stdout.starts_with("intact: 4 of 4 lines"),
        "{}",
        output.combined()
    );
    assert_eq!(output.stderr, "");

    sandbox.write("forged.head", "not a head");
    let forged = sandbox.run(&format!("{verify} --head forged.head"));
    assert_eq!(forged.code, 1, "{}", forged.combined());
    for (command, error) in [
        (
            "audit verify sqlite:audit.db --key-file audit.key",
            "the database has no audit log \"stockade\"",
        ),
        (
            "audit verify sqlite:other.db --key-file audit.key",
            "sqlite:other.db does not exist",
        ),
        (
            "audit verify audit.log --key-file audit.key --database-log server-1",
            "the log is a file",
        ),
        (
            "audit verify postgres://user:hunter2@127.0.0.1:1/audit --key-file audit.key",
            "the URL contains a password",
        ),
    ] {
        let output = sandbox.run(command);
        output.assert_failed(2, error);
        assert!(!output.combined().contains("hunter2"));
    }
    assert!(!sandbox.path("other.db").exists());
}
