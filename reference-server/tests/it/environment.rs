//! Environment variables and configuration file formats.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader},
    os::unix::ffi::OsStrExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use stockade_server::tiny_model;

const SMALLEST: &str = "[auth]\nkeys_file = \"keys.yaml\"\n[model]\nsource = \"./model\"\n\
                        [server]\nlisten = \"192.0.2.1:1\"\n";

/// Starts the server, which exits because it cannot listen on this address.
fn start(folder: &Path, name: &str, text: &str, variables: &[(&str, &[u8])]) -> Output {
    program(folder, name, text, variables).output().unwrap()
}

fn program(folder: &Path, name: &str, text: &str, variables: &[(&str, &[u8])]) -> Command {
    tiny_model::write(&folder.join("model"), 1).unwrap();
    fs::write(folder.join("keys.yaml"), "keys: []\n").unwrap();
    fs::write(folder.join(name), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stockade-server"));
    command
        .args(["serve", "--config", name])
        .current_dir(folder);
    for (name, value) in variables {
        command.env(name, OsStr::from_bytes(value));
    }
    command
}

fn said(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

// FS05
#[test]
fn refuses_a_setting_that_is_not_utf_8() {
    let folder = tempfile::tempdir().unwrap();
    let other = start(folder.path(), "a.toml", SMALLEST, &[("LANGUAGE", b"\xff")]);
    assert!(said(&other).contains("192.0.2.1:1"), "{other:?}");
    for name in ["STOCKADE_AUTH__REALM", "API_KEYS_FILE"] {
        let own = said(&start(
            folder.path(),
            "a.toml",
            SMALLEST,
            &[(name, b"\xff")],
        ));
        assert!(own.contains(&format!("{name}: is not UTF-8")), "{own}");
    }
}

// FS04
#[test]
fn names_the_variable_of_an_invalid_value() {
    let folder = tempfile::tempdir().unwrap();
    let set: &[(&str, &[u8])] = &[("MAX_TOKENS_LIMIT", b"abc")];
    let line = said(&start(folder.path(), "a.toml", SMALLEST, set));
    assert!(line.contains("MAX_TOKENS_LIMIT: "), "{line}");
    assert!(!line.contains("a.toml"), "{line}");
}

// FS04, FA10
#[test]
fn logs_legacy_names_and_warns_of_those_that_loosen_security() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[auth]\nkeys_file = \"keys.yaml\"\n[model]\nsource = \"./model\"\n\
                [server]\nlisten = \"localhost:0\"\n[rate_limit]\nby_ip = \"6/minute\"\n";
    let set: &[(&str, &[u8])] = &[
        ("RATE_LIMIT_IP", b"60/minute"),
        ("TRUST_PROXY_HEADERS", b"true"),
    ];
    let mut child = program(folder.path(), "a.toml", text, set)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut log = Vec::new();
    for line in lines.map(Result::unwrap) {
        let is_last = line.contains("\"listening\"");
        log.push(line);
        if is_last {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    for (level, part) in [
        ("INFO", "\"variable\":\"RATE_LIMIT_IP\""),
        ("INFO", "\"variable\":\"TRUST_PROXY_HEADERS\""),
        (
            "WARN",
            "RATE_LIMIT_IP: overrides rate_limit.by_ip (a.toml:8)",
        ),
        (
            "WARN",
            "TRUST_PROXY_HEADERS: trusts X-Forwarded-For from any sender",
        ),
    ] {
        let is_logged = |line: &String| line.contains(level) && line.contains(part);
        assert!(log.iter().any(is_logged), "{part}: {log:#?}");
    }
}

// FS07
#[test]
fn accepts_yaml() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "auth: {keys_file: keys.yaml}\nmodel: {source: ./model}\n\
                server:\n  listen: 192.0.2.1:1\n";
    let log = said(&start(folder.path(), "a.yaml", yaml, &[]));
    assert!(log.contains("192.0.2.1:1"), "{log}");
    let typo = yaml.replace("listen", "lisen");
    let line = said(&start(folder.path(), "a.yaml", &typo, &[]));
    let expected = "a.yaml:4: unknown field `lisen`; did you mean `listen`?";
    assert!(line.contains(expected), "{line}");
}
