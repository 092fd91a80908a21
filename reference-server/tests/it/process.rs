//! The program: its arguments, output and exit code.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use serde_json::Value;
use stockade_testkit::{poll::until, port};

use crate::server_process::without_hub;

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stockade-server"));
    command.args(args);
    command
}

/// Runs a program that must fail, and returns its single line of output.
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
fn reports_a_port_in_use_on_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let line = failure(&["demo", "--listen", &address]);
    assert!(line.contains(&address) && line.contains("in use"), "{line}");
}

#[test]
fn reports_startup_errors_with_their_origin() {
    let folder = tempfile::tempdir().unwrap();
    let model = "[model]\nsource = \"tests/none\"\n";
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

/// Accepts connections until the process ends, and sends the same reply to everything; none if it
/// is empty. Returns the port.
fn impostor(reply: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            thread::spawn(move || {
                let mut received = [0; 4_096];
                while let Ok(1..) = client.read(&mut received) {
                    let _ = client.write_all(reply);
                }
            });
        }
    });
    port
}

// FS08
#[test]
fn exits_if_a_database_is_absent_silent_or_another_server() {
    let serve = |setting: &str, port: u16| {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("postgres://stockade@127.0.0.1:{port}/stockade");
        let (section, name) = setting.split_once('.').unwrap();
        let database = format!("[{section}]\n{name} = \"{url}\"\n");
        let rest = match section {
            "auth" => "",
            "admin" => "listen = \"127.0.0.1:0\"\n[auth]\nkeys_file = \"keys.yaml\"\n",
            _ => "[auth]\nkeys_file = \"keys.yaml\"\n",
        };
        fs::write(folder.path().join("keys.yaml"), "keys: []\n").unwrap();
        let config = folder.path().join("stockade.toml");
        let server = "[server]\nlisten = \"127.0.0.1:0\"\n[model]\nsource = \"tests/none\"\n";
        fs::write(&config, format!("{server}{database}{rest}")).unwrap();
        failure(&["serve", "--config", config.to_str().unwrap()])
    };
    let ports = [
        ("absent", port::free()),
        ("silent", impostor(b"")),
        ("HTTP", impostor(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
    ];
    thread::scope(|scope| {
        for setting in ["auth.keys_database", "audit.database", "admin.database"] {
            for (what, port) in ports {
                scope.spawn(move || {
                    let line = serve(setting, port);
                    assert!(line.contains(setting), "{what}: {line}");
                });
            }
        }
    });
}

#[test]
fn exits_if_an_audit_log_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    for setting in ["file", "security_file"] {
        // A file in place of its folder.
        let audit = match setting {
            "file" => "file = \"keys.yaml/app.log\"\n",
            _ => "file = \"app.log\"\nsecurity_file = \"keys.yaml/security.log\"\n",
        };
        let server = "[server]\nlisten = \"127.0.0.1:0\"\n[model]\nsource = \"tests/none\"\n";
        let config = write_config(folder.path(), &format!("{server}[audit]\n{audit}"));
        let line = failure(&["serve", "--config", &config]);
        assert!(line.contains(&format!("audit.{setting}: ")), "{line}");
        fs::remove_file(folder.path().join("keys.yaml")).unwrap();
    }
}

// FS08
#[test]
fn exits_if_the_model_can_never_be_loaded() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    for (source, why) in [
        ("./none", "is not a directory"),
        ("./empty", "has no config.json"),
        ("owner/a name", "is not a valid Hub repository"),
    ] {
        let lines = format!("[model]\nsource = \"{source}\"\n[server]\nlisten = \"127.0.0.1:0\"\n");
        let config = write_config(folder.path(), &lines);
        let line = failure(&["serve", "--config", &config]);
        assert!(
            line.contains("model.source: ") && line.contains(why),
            "{line}"
        );
        fs::remove_file(folder.path().join("keys.yaml")).unwrap();
    }
}

// FS08
#[test]
fn keeps_running_and_reports_an_unreachable_hub_in_health() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(
        folder.path(),
        "[model]\nsource = \"tests/none\"\n[server]\nlisten = \"127.0.0.1:0\"\n",
    );
    let mut serve = program(&["serve", "--config", &config]);
    let mut child = without_hub(&mut serve, folder.path())
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
    assert_eq!(health.1, serde_json::json!({"status": "failed"}));
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
fn demo_prints_example_requests_and_cleans_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = program(&["demo", "--listen", "127.0.0.1:0"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("Ctrl-C stops the server") {
        assert_ne!(out.read_line(&mut text).unwrap(), 0, "{text}");
    }
    assert!(text.contains("--model Hcompany/Holo1.5-7B"), "{text}");

    // The model answers a question itself.
    while !text.contains("\n  answer ") {
        assert_ne!(out.read_line(&mut text).unwrap(), 0, "{text}");
    }
    let (_, asked) = text.split_once("\n  question  ").unwrap();
    let mut asked = asked.lines();
    assert_eq!(asked.next(), Some("Click the Submit button"));
    let answer = asked.next().unwrap();
    let click = answer
        .trim_start_matches("  answer    Click(")
        .trim_end_matches(')');
    let (x, y) = click.split_once(", ").expect(answer);
    let (x, y): (u32, u32) = (x.parse().expect(answer), y.parse().expect(answer));
    // The button in `demo-model/example.png`.
    assert!((36..134).contains(&x) && (5..33).contains(&y), "{answer}");

    // Runs the example as printed.
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

/// Reads a text log up to a line with this text.
fn lines_until(log: &mut impl BufRead, last: &str) -> String {
    let mut text = String::new();
    while !text.lines().last().is_some_and(|line| line.contains(last)) {
        assert_ne!(log.read_line(&mut text).unwrap(), 0, "{text}");
    }
    text
}

/// Waits for a connection, and drops it.
fn accept_and_drop(hub: &TcpListener) {
    hub.set_nonblocking(true).unwrap();
    until("a connection", || hub.accept().is_ok());
}

/// A server with a text log, and without a model.
fn serve_in_text(folder: &Path, variables: &[(&str, &str)]) -> Child {
    let config = write_config(
        folder,
        "[model]\nsource = \"tests/none\"\n[server]\nlisten = \"127.0.0.1:0\"\n\
         [log]\nformat = \"text\"\n",
    );
    let mut serve = program(&["serve", "--config", &config]);
    let serve = without_hub(&mut serve, folder);
    serve.env_remove("NO_COLOR").envs(variables.iter().copied());
    serve.stderr(Stdio::piped()).spawn().unwrap()
}

// FH12
#[test]
fn a_text_log_is_text_and_reports_a_failure_once() {
    let folder = tempfile::tempdir().unwrap();
    let hub = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", hub.local_addr().unwrap());
    let mut child = serve_in_text(folder.path(), &[("HF_ENDPOINT", &endpoint)]);
    accept_and_drop(&hub);
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let listening = lines_until(&mut log, "listening");
    let address = listening.split("address=").nth(1).unwrap();
    let address = address.split_whitespace().next().unwrap();
    let failed = lines_until(&mut log, "the model is not available");
    let url = format!("http://{address}/v1/models");
    let (status, _) = std::thread::spawn(move || fetch(&url)).join().unwrap();
    assert_eq!(status, 401);
    let refused = lines_until(&mut log, "request refused");
    for field in [
        "path=\"/v1/models\"",
        "status=401",
        "code=\"AUTHENTICATION_FAILED\"",
    ] {
        assert!(refused.contains(field), "{field} is not in\n{refused}");
    }
    // When the fourth attempt starts, three have failed.
    for _ in 0..3 {
        accept_and_drop(&hub);
    }
    assert_eq!(end(child), Some(0));
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    let all = listening + &failed + &refused + &rest;
    let count = |text: &str| all.lines().filter(|line| line.contains(text)).count();
    assert_eq!(count("cannot download tests/none"), 1, "{all}");
    assert_eq!(count("Failed("), 0, "{all}");
    let json = all.lines().filter(|line| line.starts_with('{'));
    assert_eq!(json.count(), 0, "{all}");
}

// FH12
#[test]
fn the_environment_disables_colours() {
    let force = ("CLICOLOR_FORCE", "1");
    for (variables, coloured) in [
        (&[force][..], true),
        (&[force, ("NO_COLOR", "1")], false),
        (&[], false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = serve_in_text(folder.path(), variables);
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let text = lines_until(&mut log, "listening");
        assert_eq!(text.contains('\u{1b}'), coloured, "{variables:?}\n{text}");
        assert_eq!(end(child), Some(0));
    }
}
