//! `keys new`.

use std::time::Duration;

use stockade_core::{Clock, SystemClock};
use stockade_key_auth::Pepper;
use stockade_testkit::FakeClock;

use crate::bench::{Bench, asks};

#[test]
fn a_new_key_passes_until_it_expires() {
    let bench = Bench::new();
    let said = bench.done("keys new --json --id team-core --scope chat:write --expires 90d");
    let json = said.json();
    let key = json["key"].as_str().unwrap();
    assert!(key.starts_with("sk_team-core_"));
    assert_eq!(json["record"]["scopes"], serde_json::json!(["chat:write"]));
    assert!(
        json["entry"]
            .as_str()
            .unwrap()
            .contains("key_id: team-core")
    );
    assert!(said.err.contains("will not be shown again"));

    assert_eq!(bench.asks(key).as_deref(), Ok("team-core"));
    let clock = FakeClock::at(SystemClock::new().now() + Duration::from_secs(89 * 86_400));
    let file = bench.path("keys.yaml");
    assert!(asks(&file, key, clock.clone(), None).is_ok());
    clock.advance(Duration::from_secs(86_400));
    assert_eq!(asks(&file, key, clock, None), Err("expired"));
}

#[test]
fn the_key_is_shown_once_and_its_entry_can_be_pasted() {
    let bench = Bench::new();
    let said = bench.done("keys new --id a --owner Zoë --expires never");
    let key = said
        .out
        .lines()
        .find(|line| line.starts_with("  sk_a_"))
        .unwrap()
        .trim();
    assert_eq!(said.all().matches(key).count(), 1);
    assert!(!bench.read("keys.yaml").contains(key));
    assert!(said.err.contains("no scopes") && said.err.contains("never expires"));

    let entry = said.out.split("(in YAML):\n\n").nth(1).unwrap();
    bench.write("pasted.yaml", format!("keys:\n{entry}"));
    let said = bench.done("keys list --json --store pasted.yaml");
    assert_eq!(said.json()[0]["owner"], "Zoë");
}

#[test]
fn every_field_can_be_given() {
    let bench = Bench::new();
    bench.done(
        "keys new --id a --owner o --name n --scope x,y --scope z --expires 2100-01-31 \
         --prefix ctx --model m/1,m/2 --network 10.1.2.3/8 --requests-per-minute 60 \
         --requests-per-hour 61 --requests-per-day 62 --tokens-per-minute 63 --concurrency 64 \
         --metadata team=core",
    );
    let shown = bench.done("keys show a --json").json();
    let created = shown["created_at"].clone();
    let expected = serde_json::json!({
        "id": "a", "state": "active", "name": "n", "owner": "o", "scopes": ["x", "y", "z"],
        "models": ["m/1", "m/2"], "networks": ["10.0.0.0/8"],
        "quotas": {
            "requests_per_minute": 60, "requests_per_hour": 61, "requests_per_day": 62,
            "tokens_per_minute": 63, "concurrency": 64,
        },
        "created_at": created, "expires_at": "2100-01-31T00:00:00Z", "revoked_at": null,
        "last_used_at": null, "previous_until": null, "algorithm": "sha256",
        "metadata": {"team": "core"},
    });
    assert_eq!(shown, expected);
}

#[test]
fn a_peppered_key_passes_only_with_its_pepper() {
    let bench = Bench::new();
    let pepper = "p".repeat(32);
    bench.write("pepper", format!("{pepper}\n"));
    let key = bench.key("a", "--pepper-file pepper");
    let file = bench.path("keys.yaml");
    let with = Pepper::new(pepper.as_bytes()).unwrap();
    assert!(asks(&file, &key, SystemClock::new(), Some(with)).is_ok());
    assert_eq!(bench.asks(&key), Err("unknown"));

    bench.write("short", "p");
    let said = bench.run("keys new --id b --pepper-file short");
    said.failed(1, "at least 16 bytes");
    bench
        .run("keys new --id b --pepper-file none")
        .failed(1, "none cannot be read");
}

#[test]
fn without_a_terminal_it_wants_flags() {
    let bench = Bench::new();
    bench.run("keys new").failed(2, "add --id");
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
        assert_eq!(bench.run(&format!("keys new {flags}")).code, 2, "{flags}");
    }
    assert!(bench.run("keys list").code != 0, "no key was made");
}

#[test]
fn an_id_is_given_once() {
    let bench = Bench::new();
    let key = bench.key("a", "");
    bench
        .run("keys new --id a")
        .failed(1, "stockade keys rotate a");
    assert!(bench.asks(&key).is_ok());
}

// A key whose text nobody has seen is no use; the message says how to get another one.
#[cfg(target_os = "linux")]
#[test]
fn a_key_that_could_not_be_shown_is_not_passed_over() {
    let bench = Bench::new();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = bench
        .command("keys new --id a")
        .stdout(full)
        .output()
        .unwrap();
    crate::bench::Said::from(output).failed(1, "stockade keys rotate a");
}
