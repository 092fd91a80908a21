//! `check`.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::bench::Bench;

const SAFE: &str = "\
[server]
listen = \"127.0.0.1:8000\"
[auth]
keys_file = \"keys.yaml\"
[rate_limit]
by_ip = \"600/minute\"
by_key = \"60/minute\"
[concurrency]
per_key = 8
[audit]
file = \"app.log\"
on_overflow = \"drop\"
key_file = \"audit.key\"
";

#[test]
fn a_safe_configuration_passes() {
    let bench = Bench::new();
    bench.key("a", "--expires 90d");
    bench.write("stockade.toml", SAFE);
    let said = bench.done("check --strict");
    assert!(said.err.contains("0 errors, 0 warnings"), "{}", said.err);
    assert_eq!(said.out, "");
}

#[test]
fn an_unsafe_one_does_not_and_is_told_how_to_mend_it() {
    let bench = Bench::new();
    bench.key("eternal", "--expires never");
    let mode = fs::Permissions::from_mode(0o644);
    fs::set_permissions(bench.path("keys.yaml"), mode).unwrap();
    bench.write("stockade.toml", SAFE.replace("127.0.0.1", "0.0.0.0"));
    let said = bench.run("check");
    assert_eq!(said.code, 1);
    for part in [
        "error: server.listen: ",
        "error: auth.keys_file: every user",
        "warning: auth.keys_file: the keys eternal never expire",
        "  mend: chmod 600 the file",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
}

// FP04
#[test]
fn the_hash_of_a_well_known_secret_is_refused() {
    let bench = Bench::new();
    bench.write("stockade.toml", SAFE);
    // The hash of `password`.
    bench.write(
        "keys.yaml",
        "keys:\n  - key_id: team-core\n    hash: \"sha256:\
         5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8\"\n",
    );
    let said = bench.run("check");
    assert_eq!(said.code, 1);
    let error = "line 2 is not valid: the key team-core: its hash is that of a well-known secret";
    assert!(said.err.contains(error), "{}", said.err);
}

#[test]
fn who_speaks_tls_may_listen_to_others() {
    let bench = Bench::new();
    bench.key("a", "--expires 90d");
    let public = SAFE.replace("127.0.0.1", "0.0.0.0");
    bench.write("stockade.toml", &public);
    assert_eq!(bench.run("check").code, 1);
    bench.done("check --tls");
    let files = "[server.tls]\ncertificate_file = \"c.pem\"\nkey_file = \"k.pem\"\n";
    bench.write("stockade.toml", public + files);
    bench.done("check");
}

#[test]
fn warnings_alone_fail_only_where_that_is_wanted() {
    let bench = Bench::new();
    bench.key("eternal", "--expires never");
    bench.write("stockade.toml", SAFE);
    bench.done("check");
    assert_eq!(bench.run("check --strict").code, 1);
}

#[test]
fn what_is_no_configuration_is_said_so() {
    let bench = Bench::new();
    bench.write("stockade.toml", SAFE.replace("by_key", "by_kee"));
    let said = bench.run("check");
    assert_eq!(said.code, 1);
    let expected = "stockade.toml:7: unknown field `by_kee`; did you mean `by_key`?";
    assert!(said.err.contains(expected), "{}", said.err);
}
