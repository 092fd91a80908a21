//! `keys verify`.

use crate::sandbox::Sandbox;

#[test]
fn identifies_a_valid_key() {
    let sandbox = Sandbox::new();
    let key = sandbox.key("a", "--owner ops");
    let output = sandbox.run_with("keys verify --json", &format!("{key}\n"));
    assert_eq!(output.code, 0);
    let json = output.json();
    assert_eq!(json["valid"], true);
    assert_eq!(json["record"]["owner"], "ops");
    assert!(!output.combined().contains(&key));
}

#[test]
fn reports_why_a_key_is_invalid() {
    let sandbox = Sandbox::new();
    let revoked = sandbox.key("revoked", "");
    sandbox.run_ok("keys revoke revoked --yes");
    let bound = sandbox.key("bound", "--network 10.0.0.0/8");
    let rotated = sandbox.key("rotated", "");
    sandbox.run_ok("keys rotate rotated --grace 0");
    let (rest, last) = bound.split_at(bound.len() - 1);
    let mistyped = format!("{rest}{}", if last == "x" { "y" } else { "x" });
    let expired = sandbox.key("expired", "--expires 2099-01-01");
    let file = sandbox.read("keys.yaml");
    sandbox.write("keys.yaml", file.replace("2099-01-01", "2020-01-01"));
    for (key, flags, expected) in [
        (&revoked[..], "", "key revoked: revoked at "),
        (&expired, "", "key expired: expired at 2020-01-01T00:00:00Z"),
        (&bound, "", "key bound: bound to networks"),
        (
            &bound,
            "--from 192.0.2.1",
            "key bound: not allowed from this address",
        ),
        (&rotated, "", "unknown key: not in the store"),
        (&mistyped, "", "its checksum is wrong"),
        ("third-party-key", "", "unknown key: not in the store"),
        ("a,b", "", "a key consists of visible ASCII"),
        ("eyJhbGciOiJub25lIn0.e30.x", "", "this is a token"),
    ] {
        let output = sandbox.run_with(&format!("keys verify {flags}"), key);
        assert_eq!(output.code, 1, "{expected}");
        assert!(
            output.stdout.contains(expected),
            "{expected}: {}",
            output.combined()
        );
        assert!(!output.combined().contains(key), "{}", output.combined());
    }
    assert_eq!(
        sandbox
            .run_with("keys verify --from ::ffff:10.0.0.1", &bound)
            .code,
        0
    );
}

#[test]
fn verifies_a_peppered_key_with_its_pepper() {
    let sandbox = Sandbox::new();
    sandbox.write("pepper", "p".repeat(32));
    let key = sandbox.key("a", "--pepper-file pepper");
    let output = sandbox.run_with("keys verify", &key);
    assert!(output.stdout.contains("--pepper-file"), "{}", output.stdout);
    let output = sandbox.run_with("keys verify --pepper-file pepper", &key);
    assert!(
        output.code == 0 && output.stdout.contains("valid: key a"),
        "{}",
        output.stdout
    );
}

#[test]
fn requires_one_key_on_standard_input() {
    let sandbox = Sandbox::new();
    sandbox.key("a", "");
    sandbox
        .run_with("keys verify", "")
        .assert_failed(2, "is empty");
    sandbox
        .run_with("keys verify", "a\nb\n")
        .assert_failed(2, "more than one line");
    assert_eq!(
        sandbox.run("keys verify sk_a_x").code,
        2,
        "never as an argument"
    );
}
