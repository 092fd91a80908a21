//! `keys rotate` and `keys revoke`.

use std::time::Duration;

use stockade_core::{Clock, SystemClock};
use stockade_testkit::FakeClock;

use crate::bench::{Bench, asks};

#[test]
fn a_rotated_key_passes_beside_its_old_text_for_a_while() {
    let bench = Bench::new();
    let old = bench.key("a", "--scope x");
    let new = bench.done("keys rotate a --json").json();
    let new = new["key"].as_str().unwrap();
    assert_ne!(old, new);
    assert_eq!(bench.asks(&old).as_deref(), Ok("a"));
    assert_eq!(bench.asks(new).as_deref(), Ok("a"));
    assert_eq!(bench.done("keys show a --json").json()["state"], "rotating");

    let later = FakeClock::at(SystemClock::new().now() + Duration::from_secs(86_401));
    let file = bench.path("keys.yaml");
    assert_eq!(asks(&file, &old, later.clone(), None), Err("expired"));
    assert!(asks(&file, new, later, None).is_ok());
}

#[test]
fn without_grace_the_old_text_ends_at_once() {
    let bench = Bench::new();
    let old = bench.key("a", "");
    let said = bench.done("keys rotate a --grace 0");
    assert!(said.err.contains("refused from now on"));
    assert_eq!(bench.asks(&old), Err("unknown"));
}

// FS06
#[test]
fn a_rotation_can_end_the_life_of_a_key_that_never_expires() {
    for store in ["k.yaml", "k.toml", "sqlite:k.db"] {
        let bench = Bench::new();
        let on = |args: &str| bench.done(&format!("keys {args} --store {store}"));
        let said = on("new --id a --expires never");
        assert!(
            said.err.contains("keys rotate a --expires 90d"),
            "{}",
            said.err
        );
        let said = on("rotate a --grace 0");
        assert!(said.err.contains("--expires 90d"), "{}", said.err);
        let shown = on("show a --json").json();
        assert_eq!(shown["expires_at"], serde_json::Value::Null);

        let said = on("rotate a --again --expires 2100-01-31");
        assert!(!said.err.contains("never expires"), "{}", said.err);
        let shown = on("show a --json").json();
        assert_eq!(shown["expires_at"], "2100-01-31T00:00:00Z");
        on("rotate a --again --grace 0");
        let shown = on("show a --json").json();
        assert_eq!(shown["expires_at"], "2100-01-31T00:00:00Z", "it stays");

        for wrong in ["never", "2001-01-01", "soon"] {
            let said = bench.run(&format!(
                "keys rotate a --again --expires {wrong} --store {store}"
            ));
            said.failed(2, "--expires");
        }
    }
}

// A script that is run twice must not end the text that is still in use.
#[test]
fn a_second_rotation_within_the_grace_has_to_be_meant() {
    let bench = Bench::new();
    let first = bench.key("a", "");
    bench.done("keys rotate a");
    bench.run("keys rotate a").failed(1, "--again");
    assert!(bench.asks(&first).is_ok());
    bench.done("keys rotate a --again");
    assert_eq!(bench.asks(&first), Err("unknown"));
}

#[test]
fn a_rotation_keeps_the_pepper() {
    let bench = Bench::new();
    bench.write("pepper", "p".repeat(32));
    bench.key("a", "--pepper-file pepper");
    bench.run("keys rotate a").failed(1, "--pepper-file");
    bench.done("keys rotate a --pepper-file pepper");
    assert_eq!(
        bench.done("keys show a --json").json()["algorithm"],
        "hmac-sha256"
    );
}

#[test]
fn a_revoked_key_is_refused_and_stays_so() {
    let bench = Bench::new();
    let key = bench.key("a", "");
    bench.run("keys revoke a").failed(2, "add --yes");
    assert!(bench.asks(&key).is_ok());
    bench.done("keys revoke a --yes");
    assert_eq!(bench.asks(&key), Err("revoked"));
    assert!(bench.done("keys revoke a --yes").err.contains("already"));
    bench.run("keys rotate a").failed(1, "revoked");
    bench
        .run("keys revoke b --yes")
        .failed(1, "no key with the id b");
}

#[test]
fn every_store_does_the_same() {
    for store in ["k.yaml", "k.toml", "k.json", "sqlite:k.db"] {
        let bench = Bench::new();
        let on = |args: &str| bench.done(&format!("keys {args} --store {store}"));
        let key = on("new --id a --owner o --scope x --json").json();
        let key = key["key"].as_str().unwrap();
        on("rotate a");
        on("new --id b");
        let verified = bench.run_with(&format!("keys verify --store {store}"), key);
        assert_eq!(verified.code, 0, "{store}: {}", verified.all());
        on("revoke a --yes");
        let verified = bench.run_with(&format!("keys verify --store {store}"), key);
        assert_eq!(verified.code, 1, "{store}");
        let list = on("list --json").json();
        let states = [&list[0]["state"], &list[1]["state"]];
        assert_eq!(states, ["revoked", "active"], "{store}");
    }
}

// FH13
#[test]
fn changes_of_a_file_of_ones_own_keep_its_comments_and_its_order() {
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
        let bench = Bench::new();
        bench.write(name, &text);
        bench.write(
            "other.yaml",
            format!("keys:\n  - key_id: other\n    hash: sha256:{other}\n"),
        );
        for change in [
            "new --id a-new --owner ops",
            "rotate web",
            "revoke batch --yes",
            "import other.yaml",
        ] {
            bench.done(&format!("keys {change} --store {name}"));
        }
        let edited = bench.read(name);
        let mut lines = edited.lines();
        // All but the hash that was rotated, and its comment still.
        for line in text.lines().filter(|line| !line.contains(web)) {
            assert!(lines.any(|one| one == line), "{line} is not in:\n{edited}");
        }
        assert!(edited.contains(" # made in May\n"), "{edited}");
        let list = bench
            .done(&format!("keys list --json --store {name}"))
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
