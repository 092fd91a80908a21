//! `keys list` and `keys show`.

use crate::sandbox::Sandbox;

/// Keys whose states do not depend on the current time.
const KEYS: &str = r#"keys:
  - key_id: dead
    hash: "sha256:1111111111111111111111111111111111111111111111111111111111111111"
    expires_at: "2020-01-01T00:00:00Z"
  - key_id: gone
    hash: "sha256:2222222222222222222222222222222222222222222222222222222222222222"
    revoked_at: "2020-01-01T00:00:00Z"
  - key_id: live
    hash: "sha256:3333333333333333333333333333333333333333333333333333333333333333"
    owner: "eve\e[2J\r\u202e =cmd"
    scopes: ["chat:write", "models:read"]
    created_at: "2019-01-01T00:00:00Z"
    last_used_at: "2024-05-06T07:08:09.5Z"
    metadata: {"\e]0;title": "\n"}
  - key_id: turning
    hash: "sha256:4444444444444444444444444444444444444444444444444444444444444444"
    previous_hash: "sha256:5555555555555555555555555555555555555555555555555555555555555555"
    previous_until: "2200-01-01T00:00:00Z"
"#;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("keys.yaml", KEYS);
    sandbox
}

#[test]
fn lists_states_and_times() {
    let output = sandbox().run_ok("keys list");
    let lines: Vec<Vec<&str>> = output
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0][..4], ["ID", "OWNER", "SCOPES", "STATE"]);
    assert_eq!(
        lines[1],
        [
            "dead",
            "-",
            "-",
            "expired",
            "-",
            "2020-01-01T00:00:00Z",
            "never"
        ]
    );
    assert_eq!(
        lines[2],
        ["gone", "-", "-", "revoked", "-", "never", "never"]
    );
    assert_eq!(lines[3].last(), Some(&"2024-05-06T07:08:09Z"));
    assert_eq!(lines[4][3], "rotating");
}

// M09
#[test]
fn hides_hashes_and_escapes_text_for_a_terminal() {
    let sandbox = sandbox();
    let acts = |one: char| (one.is_control() && one != '\n') || one == '\u{202e}';
    for command in [
        "keys list",
        "keys list --json",
        "keys show live",
        "keys show live --json",
        "keys show turning",
        "keys show turning --json",
    ] {
        let output = sandbox.run_ok(command).combined();
        for digit in 1..=5 {
            assert!(
                !output.contains(&digit.to_string().repeat(8)),
                "{command}: {output}"
            );
        }
        assert!(!output.contains(acts), "{command}: {output:?}");
    }
    // The entry that a rotation shows contains a hash, but is escaped as well.
    assert!(!sandbox.run_ok("keys rotate live").combined().contains(acts));
    let json = sandbox.run_ok("keys show live --json").json();
    assert_eq!(json["owner"], "eve\u{1b}[2J\r\u{202e} =cmd");
}

#[test]
fn colours_can_be_forced_and_disabled() {
    let sandbox = sandbox();
    let forced = |no_color: &str| {
        let mut command = sandbox.command("keys list");
        command.env("CLICOLOR_FORCE", "1").env("NO_COLOR", no_color);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert!(forced("").contains("\u{1b}["));
    assert!(!sandbox.run_ok("keys list").stdout.contains('\u{1b}'));
}

#[test]
fn errors_name_the_location_but_no_hash() {
    let sandbox = Sandbox::new();
    sandbox
        .run("keys list")
        .assert_failed(1, "the key store keys.yaml does not exist");
    sandbox
        .run("keys list --store redis://:pw@host")
        .assert_failed(2, "not a supported key store");
    sandbox
        .run("keys list --store postgres://me:hunter2@db/keys")
        .assert_failed(2, "STOCKADE_KEYS");
    let key = "sk_a_123456789012345678901234567890abcdef";
    sandbox.write(
        "keys.yaml",
        format!("keys:\n  - key_id: a\n    hash: \"{key}\"\n"),
    );
    let output = sandbox.run("keys list");
    output.assert_failed(1, "line 3");
    assert!(
        !output.combined().contains("1234567890"),
        "{}",
        output.combined()
    );
}

#[test]
fn the_store_flag_overrides_the_environment() {
    let sandbox = Sandbox::new();
    sandbox.key("here", "");
    sandbox.run_ok("keys new --id there --store there.toml");
    let list = |args: &str| {
        let mut command = sandbox.command(args);
        command.env("STOCKADE_KEYS", "there.toml");
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert!(list("keys list").contains("there"));
    assert!(list("keys --store keys.yaml list").contains("here"));
    assert!(list("keys list --store keys.yaml").contains("here"));
}

// As in `stockade keys list | head`.
#[cfg(target_os = "linux")]
#[test]
fn a_closed_standard_output_is_not_an_error() {
    let sandbox = sandbox();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = sandbox
        .command("keys list")
        .stdout(writer)
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
}
