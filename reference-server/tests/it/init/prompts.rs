//! The questions on a terminal.

use std::{fs, process::Command};

use rexpect::session::{PtySession, spawn_command};

use super::{FILES, findings, key_in, names};

/// Longer than any answer takes on a busy machine.
const TIMEOUT: Option<u64> = Some(60_000);

fn answer(session: &mut PtySession, question: &str, answer: &str) {
    session.exp_string(question).unwrap();
    session.send_line(answer).unwrap();
}

#[tokio::test]
async fn asks_for_what_no_flag_sets() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stockade-server"));
    command.args(["init", "--dir", "etc"]);
    command.current_dir(folder.path()).env("TERM", "xterm");
    let mut session = spawn_command(command, TIMEOUT).unwrap();
    answer(&mut session, "Model", "http://127.0.0.1:9/v1");
    answer(&mut session, "Name of the model", "holo");
    answer(
        &mut session,
        "Address to listen on [127.0.0.1:8000]",
        "0.0.0.0:8000",
    );
    session.exp_string("TLS itself").unwrap();
    session.send("n").unwrap();
    session.flush().unwrap();
    // Without TLS, a public address needs a proxy.
    answer(&mut session, "Networks of the proxies", "");
    session.exp_string("plain text").unwrap();
    session.send_line("10.0.0.1/32").unwrap();
    let text = session.exp_eof().unwrap();
    key_in(&text);

    let dir = folder.path().join("etc");
    assert_eq!(names(&dir), FILES);
    let config = dir.join("stockade.toml");
    let text = fs::read_to_string(&config).unwrap();
    assert!(
        text.contains("trusted_proxies = [\"10.0.0.1/32\"]"),
        "{text}"
    );
    assert_eq!(findings(&config).await, [""; 0]);
}
