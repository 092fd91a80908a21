//! The remedies of `check`.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use serde_json::Value;

use crate::sandbox::{CommandOutput, Sandbox};

/// A configuration without findings.
pub(crate) const SAFE: &str = "\
[server]
listen = \"127.0.0.1:8000\"
[model]
source = \"./model\"
[auth]
keys_file = \"keys.yaml\"
[client_ip]
trusted_proxies = [\"10.0.0.0/8\"]
header = \"x-forwarded-for\"
[rate_limit]
by_ip = \"600/minute\"
by_key = \"60/minute\"
[concurrency]
per_key = 8
[store]
redis = \"rediss://:f9c1ff33e81a@redis.example.com\"
on_failure = \"local\"
[audit]
file = \"app.log\"
key_file = \"audit.key\"
";

/// The same configuration without a proxy, for a server with this address.
pub(crate) fn direct(listen: &str) -> String {
    let text = SAFE.replace("127.0.0.1:8000", listen);
    let proxy = "[client_ip]\ntrusted_proxies = [\"10.0.0.0/8\"]\nheader = \"x-forwarded-for\"\n";
    text.replace(proxy, "")
}

/// A directory with that configuration and its files.
pub(crate) fn safe() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.key("a", "--expires 90d");
    sandbox.write("stockade.toml", SAFE);
    sandbox.write("audit.key", "0123456789012345678901234567890123456789");
    fs::set_permissions(sandbox.path("audit.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let model = sandbox.path("model");
    fs::create_dir(&model).unwrap();
    // Whatever the umask is: `check` warns if the group can write.
    fs::set_permissions(&model, fs::Permissions::from_mode(0o755)).unwrap();
    sandbox
}

/// The directory and environment of a check.
struct Scenario {
    sandbox: Sandbox,
    variables: Vec<(String, String)>,
}

impl Scenario {
    fn command(&self, args: &str) -> Command {
        let mut command = self.sandbox.command(args);
        command.envs(self.variables.iter().cloned());
        command
    }

    fn check(&self) -> CommandOutput {
        self.command("check --strict").output().unwrap().into()
    }

    fn findings(&self) -> Vec<Value> {
        let output: CommandOutput = self.command("check --json").output().unwrap().into();
        match output.json() {
            Value::Array(findings) => findings,
            other => panic!("{other}"),
        }
    }

    /// Applies a change of a remedy.
    fn apply(&mut self, change: &Value) {
        let text = |name: &str| change[name].as_str().unwrap().to_owned();
        match change["change"].as_str().unwrap() {
            "set" => self.edit(&text("setting"), Some(&text("value"))),
            "remove" => self.edit(&text("setting"), None),
            "unset" => {
                let variable = text("variable");
                self.variables.retain(|(name, _)| *name != variable);
            }
            "run" => {
                let program = Path::new(env!("CARGO_BIN_EXE_stockade"));
                let folders = format!(
                    "{}:{}",
                    program.parent().unwrap().display(),
                    std::env::var("PATH").unwrap()
                );
                let done = Command::new("sh")
                    .args(["-c", &text("command")])
                    .current_dir(self.sandbox.path(""))
                    .env("PATH", folders)
                    .output()
                    .unwrap();
                assert!(done.status.success(), "{change}: {done:?}");
            }
            "set_key" => {
                let keys = self.sandbox.read("keys.yaml");
                let (field, value) = (text("field"), text("value"));
                let of = |line: &&str| line.contains("key_id:") && line.contains(&text("key"));
                let line = keys.lines().find(of).unwrap();
                let indent = " ".repeat(line.find("key_id").unwrap());
                let edited = format!("{line}\n{indent}{field}: \"{value}\"");
                self.sandbox
                    .write("keys.yaml", keys.replacen(line, &edited, 1));
            }
            other => panic!("{other}"),
        }
    }

    /// Sets or removes a setting in the file.
    fn edit(&self, setting: &str, value: Option<&str>) {
        let mut file: toml::Table = toml::from_str(&self.sandbox.read("stockade.toml")).unwrap();
        let value = value.map(|value| {
            let parsed: toml::Table = toml::from_str(&format!("value = {value}")).unwrap();
            parsed["value"].clone()
        });
        let (section, name) = setting.rsplit_once('.').unwrap_or(("", setting));
        let mut table = &mut file;
        for part in section.split('.').filter(|part| !part.is_empty()) {
            let (part, at) = match part.split_once('[') {
                Some((part, at)) => (part, Some(at.trim_end_matches(']'))),
                None => (part, None),
            };
            let inner = table
                .entry(part)
                .or_insert_with(|| toml::Table::new().into());
            let inner = match at {
                Some(at) => &mut inner.as_array_mut().unwrap()[at.parse::<usize>().unwrap()],
                None => inner,
            };
            table = inner.as_table_mut().unwrap();
        }
        match value {
            Some(value) => drop(table.insert(name.to_owned(), value)),
            None => assert!(table.remove(name).is_some(), "{setting}"),
        }
        self.sandbox
            .write("stockade.toml", toml::to_string(&file).unwrap());
    }
}

fn replaced(from: &'static str, to: &'static str) -> impl Fn(&Sandbox) {
    move |sandbox| {
        assert!(SAFE.contains(from), "{from}");
        sandbox.write("stockade.toml", SAFE.replace(from, to));
    }
}

fn added(lines: &'static str) -> impl Fn(&Sandbox) {
    move |sandbox| sandbox.write("stockade.toml", format!("{SAFE}{lines}"))
}

// FS06
#[test]
fn applying_a_remedy_resolves_its_finding() {
    type BreakConfig = Box<dyn Fn(&Sandbox)>;
    let cases: Vec<(&str, BreakConfig)> = vec![
        (
            "cors.allow_origins",
            Box::new(added("[cors]\nallow_origins = \"*\"\n")),
        ),
        (
            "cors.allow_credentials",
            Box::new(added(
                "[cors]\nallow_origins = \"*\"\nallow_credentials = true\n",
            )),
        ),
        (
            "server.listen",
            Box::new(|sandbox| sandbox.write("stockade.toml", direct("0.0.0.0:8000"))),
        ),
        (
            "client_ip.trusted_proxies",
            Box::new(replaced("10.0.0.0/8", "0.0.0.0/0")),
        ),
        (
            "client_ip.dangerous_trusted_proxy_count",
            Box::new(replaced(
                "trusted_proxies = [\"10.0.0.0/8\"]",
                "dangerous_trusted_proxy_count = 1",
            )),
        ),
        (
            "rate_limit.by_ip",
            Box::new(replaced("by_ip = \"600/minute\"", "")),
        ),
        (
            "rate_limit.by_key",
            Box::new(replaced("by_key = \"60/minute\"", "")),
        ),
        ("concurrency", Box::new(replaced("per_key = 8", ""))),
        (
            "store.on_failure",
            Box::new(replaced("\"local\"", "\"allow\"")),
        ),
        ("store.redis", Box::new(replaced(":f9c1ff33e81a@", ""))),
        (
            "store.redis",
            Box::new(replaced("f9c1ff33e81a", "changeme")),
        ),
        ("store.redis", Box::new(replaced("rediss://", "redis://"))),
        (
            "abuse.enabled",
            Box::new(added("[abuse]\nenabled = false\n")),
        ),
        (
            "abuse.report_only",
            Box::new(added("[abuse]\nreport_only = true\n")),
        ),
        (
            "abuse.allow",
            Box::new(added("[abuse]\nallow = \"::/0\"\n")),
        ),
        (
            "routes[1].access",
            Box::new(added(
                "[[routes]]\npath = \"/a\"\nmethods = \"GET\"\naccess = \"public\"\n\
                 [[routes]]\npath = \"/b\"\nmethods = \"POST\"\naccess = \"public\"\n",
            )),
        ),
        (
            "audit.key_file",
            Box::new(replaced("key_file = \"audit.key\"\n", "")),
        ),
        (
            "audit",
            Box::new(replaced(
                "[audit]\nfile = \"app.log\"\nkey_file = \"audit.key\"\n",
                "",
            )),
        ),
        (
            "auth.keys_file",
            Box::new(|sandbox| {
                let mode = fs::Permissions::from_mode(0o644);
                fs::set_permissions(sandbox.path("keys.yaml"), mode).unwrap();
            }),
        ),
        (
            "auth.keys_file",
            Box::new(|sandbox| {
                let mode = fs::Permissions::from_mode(0o640);
                fs::set_permissions(sandbox.path("keys.yaml"), mode).unwrap();
            }),
        ),
        (
            "auth.keys_file",
            Box::new(|sandbox| drop(sandbox.key("eternal", "--expires never"))),
        ),
        (
            "auth.tokens.key_file",
            Box::new(|sandbox| {
                sandbox.write("token.key", "changeme-changeme-changeme");
                let mode = fs::Permissions::from_mode(0o600);
                fs::set_permissions(sandbox.path("token.key"), mode).unwrap();
                let tokens = "[auth.tokens]\nissuer = \"i\"\naudience = \"a\"\n\
                              algorithm = \"HS256\"\nkey_file = \"token.key\"\n";
                sandbox.write("stockade.toml", format!("{SAFE}{tokens}"));
            }),
        ),
    ];
    for (setting, break_config) in cases {
        let mut scenario = Scenario {
            sandbox: safe(),
            variables: Vec::new(),
        };
        break_config(&scenario.sandbox);
        assert_remedied(&mut scenario, setting);
    }
}

// FS06, FA10, FS03
#[test]
fn applying_a_remedy_of_a_variable_resolves_its_warning() {
    for (name, value) in [
        ("TRUST_PROXY_HEADERS", "true"),
        ("CORS_ALLOW_ORIGINS", "https://a.example"),
        ("RATE_LIMIT_ENABLED", "false"),
        ("CONCURRENCY_LIMIT_ENABLED", "false"),
        ("RATE_LIMIT_IP", "9/minute"),
        ("API_KEYS_FILE", "keys.yaml"),
        ("RATE_LIMIT_STORAGE", "memory"),
        ("STOCKADE_COLOUR", "red"),
    ] {
        let mut scenario = Scenario {
            sandbox: safe(),
            variables: vec![(name.to_owned(), value.to_owned())],
        };
        assert_remedied(&mut scenario, "");
    }
}

fn assert_remedied(scenario: &mut Scenario, setting: &str) {
    let findings = scenario.findings();
    let named = |finding: &&Value| finding["setting"] == setting;
    assert!(
        findings.iter().any(|finding| named(&finding)),
        "{setting}: {findings:?}"
    );
    assert_eq!(scenario.check().code, 1, "{setting}");
    for finding in &findings {
        let changes = finding["changes"].as_array().unwrap();
        assert!(!changes.is_empty(), "no remedy: {finding}");
        for change in changes {
            scenario.apply(change);
        }
    }
    let output = scenario.check();
    assert_eq!(
        output.code,
        0,
        "{setting}: {findings:?}: {}",
        output.combined()
    );
}
