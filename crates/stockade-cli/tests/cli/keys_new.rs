//! `keys new`.

use std::time::Duration;

use stockade_core::clock::{Clock, SystemClock};
use stockade_key_auth::Pepper;
use stockade_testkit::FakeClock;

use crate::sandbox::{Sandbox, authenticate};

#[test]
fn a_new_key_is_valid_until_it_expires() {
    let sandbox = Sandbox::new();
    let output = sandbox.run_ok("keys new --json --id team-core --scope chat:write --expires 90d");
    let json = output.json();
    let key = json["key"].as_str().unwrap();
    assert!(key.starts_with("sk_team-core_"));
    assert_eq!(json["record"]["scopes"], serde_json::json!(["chat:write"]));
    assert!(
        json["entry"]
            .as_str()
            .unwrap()
            .contains("key_id: team-core")
    );
    assert!(output.stderr.contains("will not be shown again"));

    assert_eq!(sandbox.authenticate(key).as_deref(), Ok("team-core"));
    let clock = FakeClock::at(SystemClock::new().now() + Duration::from_secs(89 * 86_400));
    let file = sandbox.path("keys.yaml");
    assert!(authenticate(&file, key, clock.clone(), None).is_ok());
    clock.advance(Duration::from_secs(86_400));
    assert_eq!(authenticate(&file, key, clock, None), Err("expired"));
}

#[test]
fn shows_the_key_once_with_a_valid_entry() {
    let sandbox = Sandbox::new();
    let output = sandbox.run_ok("keys new --id a --owner Zoë --expires never");
    let key = output
        .stdout
        .lines()
        .find(|line| line.starts_with("  sk_a_"))
        .unwrap()
        .trim();
    assert_eq!(output.combined().matches(key).count(), 1);
    assert!(!sandbox.read("keys.yaml").contains(key));
    assert!(output.stderr.contains("no scopes") && output.stderr.contains("never expires"));

    let entry = output.stdout.split("(as YAML):\n\n").nth(1).unwrap();
    sandbox.write("pasted.yaml", format!("keys:\n{entry}"));
    let output = sandbox.run_ok("keys list --json --store pasted.yaml");
    assert_eq!(output.json()[0]["owner"], "Zoë");
}

#[test]
fn sets_every_field() {
    let sandbox = Sandbox::new();
    sandbox.run_ok(
        "keys new --id a --owner o --name n --scope x,y --scope z --expires 2100-01-31 \
         --prefix ctx --model m/1,m/2 --network 10.1.2.3/8 --requests-per-minute 60 \
         --requests-per-hour 61 --requests-per-day 62 --tokens-per-minute 63 --concurrency 64 \
         --weight 2 --metadata team=core",
    );
    let shown = sandbox.run_ok("keys show a --json").json();
    let created = shown["created_at"].clone();
    let expected = serde_json::json!({
        "id": "a", "state": "active", "name": "n", "owner": "o", "scopes": ["x", "y", "z"],
        "models": ["m/1", "m/2"], "networks": ["10.0.0.0/8"],
        "quotas": {
            "requests_per_minute": 60, "requests_per_hour": 61, "requests_per_day": 62,
            "tokens_per_minute": 63, "concurrency": 64, "weight": 2,
        },
        "created_at": created, "expires_at": "2100-01-31T00:00:00Z", "revoked_at": null,
        "last_used_at": null, "previous_until": null, "algorithm": "sha256",
        "certificate": null, "metadata": {"team": "core"},
    });
    assert_eq!(shown, expected);
}

const AGENT: &str = "spiffe://example.org/agent";

#[test]
fn a_key_with_a_certificate_has_no_secret() {
    for store in ["k.yaml", "k.toml", "k.json", "sqlite:k.db"] {
        let sandbox = Sandbox::new();
        let on = |args: &str| sandbox.run(&format!("keys {args} --store {store}"));
        let ok = |args: &str| sandbox.run_ok(&format!("keys {args} --store {store}"));
        let new = format!("new --id agent --certificate {AGENT} --scope chat:write");
        let output = ok(&format!("{new} --expires never --json"));
        let json = output.json();
        assert_eq!(json["key"], serde_json::Value::Null, "{store}");
        assert_eq!(json["record"]["certificate"], AGENT);
        assert_eq!(json["record"]["algorithm"], "certificate");
        let entry = json["entry"].as_str().unwrap();
        assert!(
            entry.ends_with(&format!("certificate: {AGENT}\n")),
            "{entry}"
        );
        assert!(!entry.contains("hash"), "{entry}");
        assert!(output.stderr.contains("no secret"), "{}", output.stderr);
        assert!(!output.stderr.contains("warning"), "{}", output.stderr);

        let shown = ok("show agent").stdout;
        assert!(shown.contains(AGENT) && !shown.contains("hash"), "{shown}");
        assert_eq!(ok("list --json").json()[0]["certificate"], AGENT);
        on(&format!("new --id other --certificate {AGENT}"))
            .assert_failed(1, "choose another id and certificate");
        on("rotate agent").assert_failed(1, "no secret to replace");
        for text in [AGENT, "certificate:spiffe://example.org/agent"] {
            let verified = sandbox.run_with(&format!("keys verify --store {store}"), text);
            assert_eq!(verified.code, 1, "{store}: {text}");
        }
        ok("revoke agent --yes");
        assert_eq!(ok("show agent --json").json()["state"], "revoked");
    }
}

#[test]
fn a_certificate_is_moved_between_stores() {
    let sandbox = Sandbox::new();
    sandbox.run_ok(&format!("keys new --id agent --certificate {AGENT}"));
    let output = sandbox.run_ok("keys show agent");
    assert!(output.stdout.contains(AGENT), "{}", output.stdout);
    sandbox.run_ok("keys import keys.yaml --store sqlite:keys.db");
    sandbox.run_ok("keys export --store sqlite:keys.db again.toml");
    let record = |store: &str| {
        let shown = sandbox.run_ok(&format!("keys show agent --json --store {store}"));
        shown.json()
    };
    assert_eq!(record("again.toml"), record("keys.yaml"));
    let shown = sandbox.run_ok("keys new --id b --certificate spiffe://d/b --scope x");
    assert!(
        shown.stdout.starts_with("Entry in keys.yaml"),
        "{}",
        shown.stdout
    );
}

#[test]
fn refuses_an_invalid_certificate() {
    let sandbox = Sandbox::new();
    for (flags, why) in [
        (
            "--certificate example.org/agent",
            "spiffe://example.org/agent",
        ),
        ("--certificate spiffe://example.org", "has a path"),
        (
            "--certificate spiffe://d/a --pepper-file pepper",
            "cannot be used with",
        ),
        (
            "--certificate spiffe://d/a --prefix sk",
            "cannot be used with",
        ),
    ] {
        let output = sandbox.run(&format!("keys new --id a {flags}"));
        output.assert_failed(2, why);
    }
    assert_ne!(sandbox.run("keys list").code, 0, "no key was made");
}

#[test]
fn a_peppered_key_is_valid_only_with_its_pepper() {
    let sandbox = Sandbox::new();
    let pepper = "p".repeat(32);
    sandbox.write("pepper", format!("{pepper}\n"));
    let key = sandbox.key("a", "--pepper-file pepper");
    let file = sandbox.path("keys.yaml");
    let with = Pepper::new(pepper.as_bytes()).unwrap();
    assert!(authenticate(&file, &key, SystemClock::new(), Some(with)).is_ok());
    assert_eq!(sandbox.authenticate(&key), Err("unknown"));

    sandbox.write("short", "p");
    let output = sandbox.run("keys new --id b --pepper-file short");
    output.assert_failed(1, "at least 16 bytes");
    sandbox
        .run("keys new --id b --pepper-file none")
        .assert_failed(1, "cannot read none");
}

#[test]
fn requires_flags_without_a_terminal() {
    let sandbox = Sandbox::new();
    sandbox.run("keys new").assert_failed(2, "add --id");
    for flags in [
        "--id a/b",
        "--id a --scope chat:*",
        "--id a --expires soon",
        "--id a --expires 2001-01-01",
        "--id a --network 10.0.0.0/33",
        "--id a --requests-per-minute 0",
        "--id a --prefix Sk",
        "--id a --metadata x",
        "--id a --secret s3cret",
    ] {
        assert_eq!(sandbox.run(&format!("keys new {flags}")).code, 2, "{flags}");
    }
    assert!(sandbox.run("keys list").code != 0, "no key was made");
}

#[test]
fn refuses_an_existing_id() {
    let sandbox = Sandbox::new();
    let key = sandbox.key("a", "");
    sandbox
        .run("keys new --id a")
        .assert_failed(1, "stockade keys rotate a");
    assert!(sandbox.authenticate(&key).is_ok());
}

// The key is lost, and the error names the command that replaces it.
#[cfg(target_os = "linux")]
#[test]
fn reports_a_key_that_cannot_be_shown() {
    let sandbox = Sandbox::new();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = sandbox
        .command("keys new --id a")
        .stdout(full)
        .output()
        .unwrap();
    crate::sandbox::CommandOutput::from(output).assert_failed(1, "stockade keys rotate a");
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_key_file_unchanged() {
    let sandbox = Sandbox::new();
    sandbox.run_ok("keys new --id a --expires never");
    let before = sandbox.read("keys.yaml");
    // A limit of file sizes acts as a full disk for this process only.
    let full = "trap '' XFSZ; ulimit -f 0; exec \"$@\"";
    let stockade = sandbox.command("keys new --id b --expires never");
    let output = std::process::Command::new("sh")
        .args(["-c", full, "sh"])
        .arg(stockade.get_program())
        .args(stockade.get_args())
        .current_dir(sandbox.path(""))
        .env_remove("STOCKADE_KEYS")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("keys.yaml"), "{errors}");
    assert!(
        output.stdout.is_empty(),
        "a key that is not stored is shown"
    );
    assert_eq!(sandbox.read("keys.yaml"), before);
    sandbox.run_ok("keys new --id b --expires never");
}
