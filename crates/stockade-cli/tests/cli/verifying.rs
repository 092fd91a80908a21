//! `keys verify`.

use crate::bench::Bench;

#[test]
fn says_whose_key_it_is_and_whether_it_is_taken() {
    let bench = Bench::new();
    let key = bench.key("a", "--owner ops");
    let said = bench.run_with("keys verify --json", &format!("{key}\n"));
    assert_eq!(said.code, 0);
    let json = said.json();
    assert_eq!(json["valid"], true);
    assert_eq!(json["record"]["owner"], "ops");
    assert!(!said.all().contains(&key));
}

#[test]
fn says_why_not() {
    let bench = Bench::new();
    let revoked = bench.key("revoked", "");
    bench.done("keys revoke revoked --yes");
    let bound = bench.key("bound", "--network 10.0.0.0/8");
    let rotated = bench.key("rotated", "");
    bench.done("keys rotate rotated --grace 0");
    let (rest, last) = bound.split_at(bound.len() - 1);
    let mistyped = format!("{rest}{}", if last == "x" { "y" } else { "x" });
    let expired = bench.key("expired", "--expires 2099-01-01");
    let file = bench.read("keys.yaml");
    bench.write("keys.yaml", file.replace("2099-01-01", "2020-01-01"));
    for (key, flags, expected) in [
        (&revoked[..], "", "the key revoked: it was revoked at "),
        (
            &expired,
            "",
            "the key expired: it expired at 2020-01-01T00:00:00Z",
        ),
        (&bound, "", "the key bound: it is bound to networks"),
        (
            &bound,
            "--from 192.0.2.1",
            "the key bound: it may not be used from this address",
        ),
        (&rotated, "", "the store does not have it"),
        (&mistyped, "", "its checksum is wrong"),
        ("somebody-elses", "", "the store does not have it"),
        ("a,b", "", "it is no key"),
        ("eyJhbGciOiJub25lIn0.e30.x", "", "it is a token"),
    ] {
        let said = bench.run_with(&format!("keys verify {flags}"), key);
        assert_eq!(said.code, 1, "{expected}");
        assert!(said.out.contains(expected), "{expected}: {}", said.all());
        assert!(!said.all().contains(key), "{}", said.all());
    }
    assert_eq!(
        bench
            .run_with("keys verify --from ::ffff:10.0.0.1", &bound)
            .code,
        0
    );
}

#[test]
fn knows_peppered_keys_by_their_pepper() {
    let bench = Bench::new();
    bench.write("pepper", "p".repeat(32));
    let key = bench.key("a", "--pepper-file pepper");
    let said = bench.run_with("keys verify", &key);
    assert!(said.out.contains("--pepper-file"), "{}", said.out);
    let said = bench.run_with("keys verify --pepper-file pepper", &key);
    assert!(
        said.code == 0 && said.out.contains("the key a"),
        "{}",
        said.out
    );
}

#[test]
fn wants_one_key_on_standard_input() {
    let bench = Bench::new();
    bench.key("a", "");
    bench.run_with("keys verify", "").failed(2, "is empty");
    bench
        .run_with("keys verify", "a\nb\n")
        .failed(2, "more than one line");
    assert_eq!(
        bench.run("keys verify sk_a_x").code,
        2,
        "never as an argument"
    );
}
