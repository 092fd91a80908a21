//! The program itself: its arguments, its output, its exit code.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stockade-server"));
    command.args(args);
    command
}

/// Runs a program that must fail, and gives its one line.
fn failure(args: &[&str]) -> String {
    let output = program(args).output().unwrap();
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    line
}

fn end(mut child: Child) -> Option<i32> {
    let kill = format!("kill -TERM {}", child.id());
    let killed = Command::new("bash").args(["-c", &kill]).status().unwrap();
    assert!(killed.success());
    child.wait().unwrap().code()
}

fn write_config(folder: &Path, lines: &str) -> String {
    let keys = folder.join("keys.yaml");
    let key = program(&["key", "--id", "me", "--file", keys.to_str().unwrap()]);
    assert!({ key }.output().unwrap().status.success());
    let path = folder.join("stockade.toml");
    let text = format!("[auth]\nkeys_file = \"keys.yaml\"\n{lines}");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let line = failure(&["demo", "--listen", &address]);
    assert!(line.contains(&address) && line.contains("in use"), "{line}");
}

#[test]
fn what_is_wrong_at_the_start_is_said_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let model = "[model]\nsource = \"./model\"\n";
    let config = write_config(folder.path(), &format!("{model}max_quued = 3\n"));
    let line = failure(&["serve", "--config", &config]);
    assert!(
        line.ends_with("stockade.toml:5: unknown field `max_quued`; did you mean `max_queued`?\n"),
        "{line}"
    );

    fs::write(
        &config,
        format!("{model}[auth]\nkeys_file = \"keys.yaml\"\n"),
    )
    .unwrap();
    let keys = folder.path().join("keys.yaml");
    let text = fs::read_to_string(&keys).unwrap();
    fs::write(&keys, &text[..text.len() / 2]).unwrap();
    let line = failure(&["serve", "--config", &config]);
    assert!(line.contains("keys.yaml"), "{line}");

    fs::remove_file(&keys).unwrap();
    let line = failure(&["serve", "--config", &config]);
    assert!(line.contains("keys.yaml"), "{line}");
}

#[test]
fn a_model_without_weights_is_said_by_health_and_the_process_lives() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(
        folder.path(),
        "[model]\nsource = \"./none\"\n[server]\nlisten = \"127.0.0.1:0\"\n",
    );
    let mut child = program(&["serve", "--config", &config])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let mut lines = log.lines().map(|line| -> Value {
        let line = line.unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"))
    });
    let listening = lines.find(|line| line["message"] == "listening").unwrap();
    lines
        .find(|line| {
            line["message"]
                .as_str()
                .is_some_and(|m| m.contains("not available"))
        })
        .unwrap();
    let address = listening["address"].as_str().unwrap();
    let url = format!("http://{address}/health");
    let health = std::thread::spawn(move || fetch(&url)).join().unwrap();
    assert_eq!(health.0, 503);
    assert_eq!(health.1["status"], "failed");
    assert!(health.1["error"].as_str().unwrap().contains("none"));
    assert_eq!(end(child), Some(0));
}

fn fetch(url: &str) -> (u16, Value) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let response = client.get(url).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    })
}

#[test]
fn the_demo_prints_what_to_paste_and_cleans_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = program(&["demo", "--listen", "127.0.0.1:0"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("Ctrl-C ends") {
        assert_ne!(out.read_line(&mut text).unwrap(), 0, "{text}");
    }
    assert!(text.contains("GIBBERISH"), "{text}");
    assert!(text.contains("--model Hcompany/Holo1.5-7B"), "{text}");

    // The very line that a stranger would paste.
    let start = text.find("\ncurl ").unwrap();
    let end_of_curl = text.find("\nThe same in Python").unwrap();
    let curl = Command::new("bash")
        .args(["-c", &text[start..end_of_curl]])
        .output()
        .unwrap();
    let answer = String::from_utf8(curl.stdout).unwrap();
    assert!(answer.ends_with("data: [DONE]\n\n"), "{answer}");

    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(end(child), Some(0));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
}
