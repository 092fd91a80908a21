//! `stockade-server init`, and the server that its files start.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::json;
use stockade::Environment;
use stockade_server_config::ServerFile;
use stockade_testkit::{
    port,
    scripted_upstream::{Chat, ScriptedUpstream},
};

use crate::server_process::signal;

mod prompts;

/// A command without a terminal, in an empty directory.
fn init(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stockade-server"))
        .arg("init")
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The standard output of a command that succeeds.
fn written(output: &Output) -> &str {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    std::str::from_utf8(&output.stdout).unwrap()
}

/// The standard error of a command that fails.
fn refused(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    std::str::from_utf8(&output.stderr).unwrap()
}

fn key_in(text: &str) -> &str {
    let keys: Vec<_> = text
        .split_whitespace()
        .filter(|word| word.starts_with("sk_"))
        .collect();
    let [key] = keys[..] else {
        panic!("not one key in {text}");
    };
    key
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

const FILES: [&str; 5] = [
    "audit.key",
    "denylist.txt",
    "keys.yaml",
    "stockade-server.service",
    "stockade.toml",
];

const UPSTREAM: [&str; 4] = ["--upstream", "http://127.0.0.1:9/v1", "--name", "holo"];

/// The findings of `stockade check --strict`.
async fn findings(config: &Path) -> Vec<String> {
    let file = ServerFile::read(config, &Environment::default()).unwrap();
    let findings = file.check().await.unwrap();
    findings.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn the_written_files_start_a_server_that_the_printed_key_opens() {
    let upstream = ScriptedUpstream::http1().await;
    upstream.always(Chat::new("Hello!").json());
    let folder = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", port::free());
    let url = upstream.url();
    let args = ["--dir", "etc", "--listen", &listen, "--upstream", url];
    let output = init(folder.path(), &[&args[..], &["--name", "holo"]].concat());
    let text = written(&output);
    let dir = folder.path().canonicalize().unwrap().join("etc");
    let config = dir.join("stockade.toml");
    let next = format!("stockade check --strict {}\n", config.display());
    assert!(text.contains(&next), "{text}");
    assert_eq!(findings(&config).await, [""; 0]);

    let mut serve = Command::new(env!("CARGO_BIN_EXE_stockade-server"));
    serve.args(["serve", "--config"]).arg(&config);
    let mut server = serve.stderr(Stdio::null()).spawn().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let chat = |key: &str| {
        let body = json!({"model": "holo", "messages": [{"role": "user", "content": "Hi"}]});
        let url = format!("http://{listen}/v1/chat/completions");
        client.post(url).bearer_auth(key).json(&body)
    };
    let mut status = 0;
    stockade_testkit::poll::until_async("the server responds", async || {
        let response = chat(key_in(text)).send().await;
        status = response.map_or(0, |response| response.status().as_u16());
        !matches!(status, 0 | 503)
    })
    .await;
    assert_eq!(status, 200);
    assert_eq!(chat("sk_other").send().await.unwrap().status(), 401);
    signal(&server, "TERM");
    assert!(server.wait().unwrap().success());
    for log in ["requests.log", "security.log"] {
        let records = fs::read_to_string(dir.join("audit").join(log)).unwrap();
        assert!(!records.is_empty(), "{log}");
    }
}

#[test]
fn secrets_are_private_and_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--dir", "a b", "--listen", "127.0.0.1:443"];
    let output = init(folder.path(), &[&args[..], &UPSTREAM].concat());
    let key = key_in(written(&output));
    let dir = folder.path().canonicalize().unwrap().join("a b");
    assert_eq!(names(&dir), FILES);
    for (name, mode) in [
        ("audit.key", 0o600),
        ("denylist.txt", 0o600),
        ("keys.yaml", 0o600),
        ("stockade-server.service", 0o644),
        ("stockade.toml", 0o640),
    ] {
        let path = dir.join(name);
        let actual = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(actual, mode, "{name}");
        let content = fs::read_to_string(&path).unwrap();
        assert!(!content.contains(key), "{name}");
        // A TOML, YAML or unit file without a placeholder of the template.
        assert!(
            !content.contains("{user}") && !content.contains("{config}"),
            "{name}"
        );
    }
    let unit = fs::read_to_string(dir.join("stockade-server.service")).unwrap();
    let exec = format!(
        " serve --config \"{}\"\n",
        dir.join("stockade.toml").display()
    );
    assert!(unit.contains(&exec), "{unit}");
    assert!(
        unit.contains("AmbientCapabilities=CAP_NET_BIND_SERVICE\n"),
        "{unit}"
    );
}

#[test]
fn existing_files_are_replaced_only_with_force() {
    let folder = tempfile::tempdir().unwrap();
    let args = [&["--dir", ".", "--listen", "127.0.0.1:1"][..], &UPSTREAM].concat();
    let first = init(folder.path(), &args);
    let (first, config) = (key_in(written(&first)), folder.path().join("stockade.toml"));
    let keys = folder.path().join("keys.yaml");
    let before = fs::read_to_string(&keys).unwrap();

    let again = init(folder.path(), &args);
    let error = refused(&again);
    assert!(
        error.contains("already has keys.yaml") && error.contains("--force"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&keys).unwrap(), before);

    let forced = init(folder.path(), &[&args[..], &["--force"]].concat());
    assert_ne!(key_in(written(&forced)), first);
    assert_eq!(
        fs::read_to_string(folder.path().join("keys.yaml.old")).unwrap(),
        before
    );
    assert!(config.exists());

    // The files of the first run are not lost.
    let third = init(folder.path(), &[&args[..], &["--force"]].concat());
    let error = refused(&third);
    assert!(error.contains("keys.yaml.old"), "{error}");
}

#[test]
fn names_the_missing_flags_without_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let output = init(folder.path(), &["--listen", "0.0.0.0:8443"]);
    let error = refused(&output);
    for flag in ["--dir", "--model or --upstream", "--tls-key", "terminal"] {
        assert!(error.contains(flag), "{error}");
    }
    assert!(!error.contains("--listen"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert_eq!(names(folder.path()), [""; 0]);
}

fn certificate(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let [cert, key] = ["crt", "key"].map(|end| folder.join(format!("{name}.{end}")));
    fs::write(&cert, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    (cert, key)
}

#[tokio::test]
async fn public_addresses_get_tls_or_a_proxy() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), "a");
    certificate(folder.path(), "b");
    let public = [&["--listen", "0.0.0.0:8443"][..], &UPSTREAM].concat();
    let with = |dir, more: &[&str]| {
        init(
            folder.path(),
            &[&public[..], &["--dir", dir], more].concat(),
        )
    };
    let swapped = with("tls", &["--tls-certificate", "a.crt", "--tls-key", "b.key"]);
    assert!(refused(&swapped).contains("does not belong"));
    assert!(!folder.path().join("tls").exists());

    written(&with(
        "tls",
        &["--tls-certificate", "a.crt", "--tls-key", "a.key"],
    ));
    written(&with("proxy", &["--behind-proxy", "10.0.0.1/32,fd00::/8"]));
    for dir in ["tls", "proxy"] {
        let config = folder.path().join(dir).join("stockade.toml");
        assert_eq!(findings(&config).await, [""; 0], "{dir}");
    }

    let everyone = with("all", &["--behind-proxy", "0.0.0.0/0"]);
    let error = refused(&everyone);
    assert!(error.contains("every client is a trusted proxy"), "{error}");
    // The location is that of the final directory.
    assert!(error.contains("/all/stockade.toml:"), "{error}");
    assert_eq!(names(&folder.path().join("all")), [""; 0]);
}

#[test]
fn warnings_must_be_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let url = "http://models.example.com/v1";
    let args = ["--yes", "--dir", "a", "--upstream", url, "--name", "holo"];
    let output = init(folder.path(), &args);
    let error = refused(&output);
    assert!(
        error.contains("unencrypted") && error.contains("--allow-warnings"),
        "{error}"
    );
    assert_eq!(names(&folder.path().join("a")), [""; 0]);
    let output = init(folder.path(), &[&args[..], &["--allow-warnings"]].concat());
    written(&output);
    assert_eq!(names(&folder.path().join("a")), FILES);
}

/// The directives of a unit, each with its values.
fn directives(file: &str) -> BTreeMap<String, Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(path).unwrap();
    let mut directives = BTreeMap::<_, Vec<_>>::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((name, value)) = line.split_once('=') {
            let values = directives.entry(name.to_owned()).or_default();
            values.push(value.to_owned());
        }
    }
    directives
}

/// Directives in which the units differ: that of `deploy/` is for a gateway that root installs, that
/// of `init` also for a model on a GPU, in the folder of a user.
const DIFFERENT: [&str; 29] = [
    "AmbientCapabilities",
    "CacheDirectory",
    "CapabilityBoundingSet",
    "DevicePolicy",
    "Documentation",
    "DynamicUser",
    "Environment",
    "ExecReload",
    "ExecStart",
    "Group",
    "IPAddressAllow",
    "IPAddressDeny",
    "LoadCredential",
    "LogsDirectory",
    "LogsDirectoryMode",
    "MemoryDenyWriteExecute",
    "MemoryMax",
    "PrivateDevices",
    "PrivateUsers",
    "ProcSubset",
    "ProtectHome",
    "ReadWritePaths",
    "RemoveIPC",
    "StateDirectory",
    "StateDirectoryMode",
    "SupplementaryGroups",
    "SystemCallFilter",
    "TasksMax",
    "User",
];

#[test]
fn the_unit_agrees_with_that_of_deploy() {
    let own = directives("src/init/stockade-server.service");
    let deploy = directives("../deploy/systemd/stockade-server.service");
    let names: BTreeSet<_> = own.keys().chain(deploy.keys()).collect();
    let different = names
        .into_iter()
        .filter(|name| own.get(*name) != deploy.get(*name));
    assert_eq!(different.collect::<Vec<_>>(), DIFFERENT);
}
