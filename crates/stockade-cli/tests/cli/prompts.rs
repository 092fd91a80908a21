//! Prompts on a pseudo-terminal.

use rexpect::session::{PtySession, spawn_command};

use crate::sandbox::Sandbox;

/// Longer than any answer takes on a busy machine.
const TIMEOUT: Option<u64> = Some(30_000);

fn start(sandbox: &Sandbox, args: &str) -> PtySession {
    let mut command = sandbox.command(args);
    command.env("TERM", "xterm");
    spawn_command(command, TIMEOUT).unwrap()
}

fn answer(session: &mut PtySession, question: &str, answer: &str) {
    session.exp_string(question).unwrap();
    session.send_line(answer).unwrap();
}

/// The output up to the end of the command.
fn rest(session: &mut PtySession) -> String {
    session.exp_eof().unwrap()
}

#[test]
fn prompts_again_after_invalid_input() {
    let sandbox = Sandbox::new();
    sandbox.key("taken", "");
    let mut session = start(&sandbox, "keys new");
    answer(&mut session, "Id [key-1]", "a/b");
    session.exp_string("is not a valid key id").unwrap();
    session.send_line("\u{15}taken").unwrap();
    session.exp_string("already").unwrap();
    session.send_line("\u{15}team-core").unwrap();
    answer(&mut session, "Owner", "ops@example.com");
    answer(
        &mut session,
        "Scopes [chat:write models:read]",
        "chat:write, keys:read",
    );
    answer(&mut session, "[365d]", "90d");
    let key = session.exp_regex("sk_team-core_[0-9A-Za-z]{36}").unwrap().1;
    let rest = rest(&mut session);
    assert!(rest.contains("will not be shown again"), "{rest}");
    assert!(rest.contains("key_id: team-core"), "{rest}");

    assert_eq!(sandbox.authenticate(&key).as_deref(), Ok("team-core"));
    let shown = sandbox.run_ok("keys show team-core --json").json();
    assert_eq!(shown["owner"], "ops@example.com");
    assert_eq!(
        shown["scopes"],
        serde_json::json!(["chat:write", "keys:read"])
    );
}

#[test]
fn accepts_defaults_and_skips_prompts_for_flags() {
    let sandbox = Sandbox::new();
    let mut session = start(&sandbox, "keys new --owner ops --expires never");
    answer(&mut session, "Id [key-1]", "");
    answer(&mut session, "Scopes", "");
    rest(&mut session);
    let shown = sandbox.run_ok("keys show key-1 --json").json();
    assert_eq!(shown["owner"], "ops");
    assert_eq!(shown["expires_at"], serde_json::Value::Null);
    assert_eq!(
        shown["scopes"],
        serde_json::json!(["chat:write", "models:read"])
    );
}

#[test]
fn revokes_only_after_confirmation() {
    let sandbox = Sandbox::new();
    let key = sandbox.key("a", "--owner ops");
    let mut session = start(&sandbox, "keys revoke a");
    session
        .exp_string("Permanently revoke the key a of ops?")
        .unwrap();
    session.send("n").unwrap();
    session.flush().unwrap();
    assert!(rest(&mut session).contains("Nothing was changed."));
    assert!(sandbox.authenticate(&key).is_ok());

    let mut session = start(&sandbox, "keys revoke a");
    session.exp_string("Permanently revoke").unwrap();
    session.send("y").unwrap();
    session.flush().unwrap();
    assert!(rest(&mut session).contains("is permanently revoked."));
    assert_eq!(sandbox.authenticate(&key), Err("revoked"));
}

#[test]
fn does_not_echo_a_key() {
    let sandbox = Sandbox::new();
    let key = sandbox.key("a", "");
    let mut session = start(&sandbox, "keys verify");
    answer(&mut session, "Key", &key);
    let rest = rest(&mut session);
    assert!(rest.contains(": key a") && !rest.contains(&key), "{rest}");
}

#[cfg(feature = "backup")]
#[test]
fn prompts_twice_for_a_new_passphrase_and_once_for_an_old_one() {
    let sandbox = Sandbox::new();
    sandbox.key("a", "");
    sandbox.write("stockade.toml", "auth.keys_file = \"keys.yaml\"");
    let mut session = start(&sandbox, "backup --output backup.age");
    answer(&mut session, "Passphrase", "correct horse battery");
    answer(&mut session, "Repeat", "correct horse");
    assert!(rest(&mut session).contains("the passphrases differ"));
    assert!(!sandbox.path("backup.age").exists());

    let mut session = start(&sandbox, "backup --output backup.age");
    answer(&mut session, "Passphrase", "correct horse battery");
    answer(&mut session, "Repeat", "correct horse battery");
    let seen = rest(&mut session);
    assert!(seen.contains("Wrote 2 files"), "{seen}");
    assert!(!seen.contains("correct horse"), "{seen}");

    let mut session = start(&sandbox, "restore --verify backup.age");
    answer(&mut session, "Passphrase", "correct horse battery");
    let seen = rest(&mut session);
    assert!(seen.contains("verified"), "{seen}");
}

#[test]
fn colours_a_terminal_unless_disabled() {
    let sandbox = Sandbox::new();
    sandbox.key("a", "");
    let seen = rest(&mut start(&sandbox, "keys list"));
    assert!(seen.contains("\u{1b}["), "{seen:?}");
    let mut command = sandbox.command("keys list");
    command.env("TERM", "xterm").env("NO_COLOR", "1");
    let seen = rest(&mut spawn_command(command, TIMEOUT).unwrap());
    assert!(!seen.contains('\u{1b}'), "{seen:?}");
}
