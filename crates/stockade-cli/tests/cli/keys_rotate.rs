//! `keys rotate` and `keys revoke`.

use std::time::Duration;

use stockade_core::clock::{Clock, SystemClock};
use stockade_testkit::FakeClock;

use crate::sandbox::{Sandbox, authenticate};

#[test]
fn the_old_secret_is_valid_during_the_grace_period() {
    let sandbox = Sandbox::new();
    let old = sandbox.key("a", "--scope x");
    let new = sandbox.run_ok("keys rotate a --json").json();
    let new = new["key"].as_str().unwrap();
    assert_ne!(old, new);
    assert_eq!(sandbox.authenticate(&old).as_deref(), Ok("a"));
    assert_eq!(sandbox.authenticate(new).as_deref(), Ok("a"));
    assert_eq!(
        sandbox.run_ok("keys show a --json").json()["state"],
        "rotating"
    );

    let later = FakeClock::at(SystemClock::new().now() + Duration::from_secs(86_401));
    let file = sandbox.path("keys.yaml");
    assert_eq!(
        authenticate(&file, &old, later.clone(), None),
        Err("expired")
    );
    assert!(authenticate(&file, new, later, None).is_ok());
}

#[test]
fn without_grace_the_old_secret_is_invalid_immediately() {
    let sandbox = Sandbox::new();
    let old = sandbox.key("a", "");
    let output = sandbox.run_ok("keys rotate a --grace 0");
    assert!(output.stderr.contains("The old secret is invalid"));
    assert_eq!(sandbox.authenticate(&old), Err("unknown"));
}

// FS06
#[test]
fn a_rotation_can_set_an_expiry() {
    for store in ["k.yaml", "k.toml", "sqlite:k.db"] {
        let sandbox = Sandbox::new();
        let on = |args: &str| sandbox.run_ok(&format!("keys {args} --store {store}"));
        let output = on("new --id a --expires never");
        assert!(
            output.stderr.contains("keys rotate a --expires 90d"),
            "{}",
            output.stderr
        );
        let output = on("rotate a --grace 0");
        assert!(output.stderr.contains("--expires 90d"), "{}", output.stderr);
        let shown = on("show a --json").json();
        assert_eq!(shown["expires_at"], serde_json::Value::Null);

        let output = on("rotate a --again --expires 2100-01-31");
        assert!(
            !output.stderr.contains("never expires"),
            "{}",
            output.stderr
        );
        let shown = on("show a --json").json();
        assert_eq!(shown["expires_at"], "2100-01-31T00:00:00Z");
        on("rotate a --again --grace 0");
        let shown = on("show a --json").json();
        assert_eq!(shown["expires_at"], "2100-01-31T00:00:00Z", "it stays");

        for wrong in ["never", "2001-01-01", "soon"] {
            let output = sandbox.run(&format!(
                "keys rotate a --again --expires {wrong} --store {store}"
            ));
            output.assert_failed(2, "--expires");
        }
    }
}

// A script that runs twice must not invalidate the secret in use.
#[test]
fn a_second_rotation_within_the_grace_period_requires_again() {
    let sandbox = Sandbox::new();
    let first = sandbox.key("a", "");
    sandbox.run_ok("keys rotate a");
    sandbox.run("keys rotate a").assert_failed(1, "--again");
    assert!(sandbox.authenticate(&first).is_ok());
    sandbox.run_ok("keys rotate a --again");
    assert_eq!(sandbox.authenticate(&first), Err("unknown"));
}

#[test]
fn a_rotation_requires_the_pepper() {
    let sandbox = Sandbox::new();
    sandbox.write("pepper", "p".repeat(32));
    sandbox.key("a", "--pepper-file pepper");
    sandbox
        .run("keys rotate a")
        .assert_failed(1, "--pepper-file");
    sandbox.run_ok("keys rotate a --pepper-file pepper");
    assert_eq!(
        sandbox.run_ok("keys show a --json").json()["algorithm"],
        "hmac-sha256"
    );
}

#[test]
fn a_revocation_is_permanent() {
    let sandbox = Sandbox::new();
    let key = sandbox.key("a", "");
    sandbox.run("keys revoke a").assert_failed(2, "add --yes");
    assert!(sandbox.authenticate(&key).is_ok());
    sandbox.run_ok("keys revoke a --yes");
    assert_eq!(sandbox.authenticate(&key), Err("revoked"));
    assert!(
        sandbox
            .run_ok("keys revoke a --yes")
            .stderr
            .contains("already")
    );
    sandbox.run("keys rotate a").assert_failed(1, "revoked");
    sandbox
        .run("keys revoke b --yes")
        .assert_failed(1, "no key with the id b");
}

#[test]
fn all_stores_behave_alike() {
    for store in [
        "k.yaml",
        "k.toml",
        "k.json",
        "sqlite:k.db",
        "sqlite:a%20b.db",
    ] {
        let sandbox = Sandbox::new();
        let on = |args: &str| sandbox.run_ok(&format!("keys {args} --store {store}"));
        let key = on("new --id a --owner o --scope x --json").json();
        let key = key["key"].as_str().unwrap();
        on("rotate a");
        on("new --id b");
        let verified = sandbox.run_with(&format!("keys verify --store {store}"), key);
        assert_eq!(verified.code, 0, "{store}: {}", verified.combined());
        on("revoke a --yes");
        let verified = sandbox.run_with(&format!("keys verify --store {store}"), key);
        assert_eq!(verified.code, 1, "{store}");
        let list = on("list --json").json();
        let states = [&list[0]["state"], &list[1]["state"]];
        assert_eq!(states, ["revoked", "active"], "{store}");
    }
}

// FH13
#[test]
fn changes_keep_the_comments_and_order_of_a_file() {
    let hashes = ["7", "8", "9"].map(|digit| digit.repeat(64));
    let [web, batch, other] = &hashes;
    let files = [
        (
            "k.yaml",
            format!(
                "# Keys of the team.\nkeys:\n  # The web page.\n  - key_id: web\n    \
                 hash: 'sha256:{web}' # made in May\n    scopes: [ chat:write ]\n\n  # Nightly.\n  \
                 - key_id: batch\n    hash: sha256:{batch}\n# The end.\n"
            ),
        ),
        (
            "k.toml",
            format!(
                "# Keys of the team.\n\n# The web page.\n[[keys]]\nkey_id = 'web'\n\
                 hash = 'sha256:{web}' # made in May\nscopes = [ 'chat:write' ]\n\n# Nightly.\n\
                 [[keys]]\nkey_id = 'batch'\nhash = 'sha256:{batch}'\n# The end.\n"
            ),
        ),
    ];
    for (name, text) in files {
        let sandbox = Sandbox::new();
        sandbox.write(name, &text);
        sandbox.write(
            "other.yaml",
            format!("keys:\n  - key_id: other\n    hash: sha256:{other}\n"),
        );
        for change in [
            "new --id a-new --owner ops",
            "rotate web",
            "revoke batch --yes",
            "import other.yaml",
        ] {
            sandbox.run_ok(&format!("keys {change} --store {name}"));
        }
        let edited = sandbox.read(name);
        let mut lines = edited.lines();
        // All lines except the rotated hash are unchanged.
        for line in text.lines().filter(|line| !line.contains(web)) {
            assert!(lines.any(|one| one == line), "{line} is not in:\n{edited}");
        }
        assert!(edited.contains(" # made in May\n"), "{edited}");
        let list = sandbox
            .run_ok(&format!("keys list --json --store {name}"))
            .json();
        let states: Vec<_> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|key| format!("{} {}", key["id"], key["state"]).replace('"', ""))
            .collect();
        let expected = [
            "a-new active",
            "batch revoked",
            "other active",
            "web rotating",
        ];
        assert_eq!(states, expected, "{name}");
    }
}
