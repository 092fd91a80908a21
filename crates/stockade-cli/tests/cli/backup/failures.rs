//! Backups that fail, and what they leave behind.

use std::{fs, process::Command};

use super::{BACKUP, VERIFY, names, set_mode, small};
use crate::sandbox::CommandOutput;

#[test]
fn keeps_an_existing_file() {
    let sandbox = small();
    sandbox.write("backup.age", "precious");
    sandbox.run(BACKUP).assert_failed(1, "already exists");
    assert_eq!(sandbox.read("backup.age"), "precious");
    sandbox.run_ok(&format!("{BACKUP} --force"));
    sandbox.run_ok(VERIFY);
}

#[test]
fn leaves_no_partial_file_on_a_full_disk() {
    let sandbox = small();
    let config = sandbox.read("stockade.toml");
    sandbox.write(
        "stockade.toml",
        format!("{config}#{}\n", "x".repeat(300_000)),
    );
    let before = names(&sandbox);
    let command = sandbox.command(BACKUP);
    // A limit of the file size fails writes, as a full disk does.
    let limited = Command::new("bash")
        .args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(sandbox.path("."))
        .output()
        .unwrap();
    CommandOutput::from(limited).assert_failed(1, "cannot write the backup");
    assert_eq!(names(&sandbox), before);

    sandbox
        .run("backup --output missing/backup.age --recipients-file recipients.txt")
        .assert_failed(1, "cannot write missing/backup.age");
    assert_eq!(names(&sandbox), before);
}

#[test]
fn names_the_setting_of_a_file_that_cannot_be_read() {
    let sandbox = small();
    let before = names(&sandbox);
    for (line, text) in [
        ("auth.pepper_file = 'none'", "auth.pepper_file: cannot read"),
        ("auth.pepper_file = '/dev/null'", "it is not a regular file"),
        (
            "audit.database = 'sqlite:none.db'",
            "audit.database: cannot read none.db",
        ),
    ] {
        let config = format!("auth.keys_file = 'keys.yaml'\n{line}\n");
        sandbox.write("stockade.toml", config);
        sandbox.run(BACKUP).assert_failed(1, text);
        assert_eq!(names(&sandbox), before, "{line}");
    }
    fs::remove_file(sandbox.path("stockade.toml")).unwrap();
    sandbox.run(BACKUP).assert_failed(1, "--config");
}

#[test]
fn files_that_the_server_has_not_created_yet_may_be_missing() {
    let sandbox = small();
    sandbox.write(
        "stockade.toml",
        "auth.keys_file = 'keys.yaml'
        abuse.deny_list = 'denylist.txt'
        audit.file = 'logs/app.log'",
    );
    let output = sandbox.run_ok(BACKUP);
    for left_out in ["Left out abuse.deny_list: ", "Left out audit.file: "] {
        assert!(output.stderr.contains(left_out), "{}", output.stderr);
    }
    sandbox.run_ok(VERIFY);
}

#[test]
fn needs_a_recipient_or_a_good_passphrase() {
    let sandbox = small();
    let backup = "backup --output backup.age";
    sandbox.run(backup).assert_failed(2, "--recipient");
    sandbox.write("short.txt", "hunter2");
    set_mode(&sandbox, "short.txt", 0o600);
    let output = sandbox.run(&format!("{backup} --passphrase-file short.txt"));
    output.assert_failed(2, "less than 12 characters");
    assert!(!output.combined().contains("hunter2"));
    sandbox
        .run(&format!(
            "{backup} --passphrase-file short.txt --recipient age1x"
        ))
        .assert_failed(2, "cannot be used with");
    let output = sandbox.run(&format!("{backup} --recipient AGE-SECRET-KEY-1HUNTER2"));
    output.assert_failed(2, "--recipient is an identity");
    assert!(!output.combined().contains("HUNTER2"));
    sandbox.write("empty.txt", "# none\n");
    sandbox
        .run(&format!("{backup} --recipients-file empty.txt"))
        .assert_failed(2, "empty.txt has no recipient");
    sandbox.write("bad.txt", "# ops\nage1x\n");
    sandbox
        .run(&format!("{backup} --recipients-file bad.txt"))
        .assert_failed(2, "bad.txt:2 is not a recipient");
    sandbox
        .run("restore backup.age")
        .assert_failed(2, "--verify");
    assert!(!sandbox.path("backup.age").exists());
}

#[test]
fn reports_settings_from_variables() {
    let sandbox = small();
    sandbox.write("bans.txt", "");
    let mut command = sandbox.command(BACKUP);
    command.env("STOCKADE_ABUSE__DENY_LIST", "bans.txt");
    let output: CommandOutput = command.output().unwrap().into();
    assert_eq!(output.code, 0, "{}", output.combined());
    assert!(output.stdout.contains("bans.txt"), "{}", output.stdout);
    let left_out = "Left out environment variables: STOCKADE_ABUSE__DENY_LIST.";
    assert!(output.stderr.contains(left_out), "{}", output.stderr);
}
