//! `keys import` and `keys export`.

use crate::bench::Bench;

/// A key file as people have them, with a key that somebody else issued.
fn issued_elsewhere() -> (String, &'static str) {
    let key = "0123456789abcdef0123456789abcdef";
    let hash = bcrypt::hash(key, 4).unwrap();
    let file = format!(
        "keys:
  - key_id: \"team-core\"
    hash: \"{hash}\"
    owner: \"admin@example.com\"
    scopes: [\"chat:write\", \"models:read\"]
    created_at: \"2025-01-01T00:00:00Z\"
    expires_at: \"2200-01-01T00:00:00Z\"
  - key_id: \"ci\"
    hash: \"$sha256$ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"
"
    );
    (file, key)
}

#[test]
fn an_imported_bcrypt_key_passes() {
    let bench = Bench::new();
    let (file, key) = issued_elsewhere();
    bench.write("old.yaml", file);
    let said = bench.done("keys import old.yaml");
    assert!(
        said.out.contains("old.yaml:2: team-core added"),
        "{}",
        said.out
    );
    assert!(said.out.contains("old.yaml:8: ci added"), "{}", said.out);
    assert_eq!(bench.asks(key).as_deref(), Ok("team-core"));
    assert_eq!(bench.asks("abc").as_deref(), Ok("ci"));

    let again = bench.done("keys import old.yaml");
    assert_eq!(again.out.matches("skipped").count(), 2, "{}", again.out);
}

#[test]
fn a_dry_run_changes_nothing() {
    let bench = Bench::new();
    bench.write("old.yaml", issued_elsewhere().0);
    for store in ["keys.yaml", "sqlite:keys.db"] {
        let said = bench.done(&format!("keys import old.yaml --dry-run --store {store}"));
        assert!(said.err.contains("2 keys would be added"), "{}", said.err);
        assert!(said.out.contains("ci would be added"), "{}", said.out);
    }
    assert!(!bench.path("keys.yaml").exists() && !bench.path("keys.db").exists());
}

#[test]
fn all_or_nothing_unless_told_otherwise() {
    for store in ["keys.yaml", "keys.toml", "sqlite:keys.db"] {
        let bench = Bench::new();
        bench.write("old.yaml", issued_elsewhere().0);
        bench.done(&format!("keys new --id ci --store {store}"));
        let count = || {
            let list = bench
                .done(&format!("keys list --json --store {store}"))
                .json();
            list.as_array().unwrap().len()
        };
        let said = bench.run(&format!("keys import old.yaml --store {store}"));
        said.failed(1, "nothing was added");
        assert!(said.out.contains("old.yaml:8: ci refused"), "{}", said.out);
        assert_eq!(count(), 1, "{store}");

        let said = bench.run(&format!(
            "keys import old.yaml --json --skip-refused --store {store}"
        ));
        assert_eq!(said.code, 1);
        assert!(said.out.contains("refused"), "{store}: {}", said.all());
        let json = said.json();
        assert_eq!(json["changed"], true);
        assert_eq!(json["keys"][1]["result"], "refused");
        assert_eq!(count(), 2, "{store}");
    }
}

#[test]
fn a_revoked_key_is_not_revived() {
    let bench = Bench::new();
    bench.write("old.yaml", issued_elsewhere().0);
    bench.done("keys import old.yaml");
    bench.done("keys revoke ci --yes");
    bench.done("keys import old.yaml");
    assert_eq!(bench.asks("abc"), Err("revoked"));
}

#[test]
fn a_bad_file_is_refused_with_its_line_and_without_its_hash() {
    let bench = Bench::new();
    let (file, _) = issued_elsewhere();
    bench.write("old.yaml", file.replace("$sha256$ba78", "$md5$ba78"));
    let said = bench.run("keys import old.yaml");
    said.failed(1, "old.yaml, line 9");
    assert!(!said.all().contains("ba78"), "{}", said.all());
    bench.write("twice.yaml", file.replace("\"ci\"", "\"team-core\""));
    bench
        .run("keys import twice.yaml")
        .failed(1, "two keys with the id team-core");
    bench
        .run("keys import none.yaml")
        .failed(1, "none.yaml cannot be read");
    assert!(!bench.path("keys.yaml").exists());
}

#[test]
fn what_is_exported_can_be_imported() {
    let bench = Bench::new();
    let key = bench.key(
        "a",
        "--owner o'\"#: --name 123 --metadata n=true --scope x --model m --requests-per-day 5",
    );
    bench.done("keys rotate a");
    bench.done("keys new --id b");
    let list = bench.done("keys list --json").out;
    for file in ["out.yaml", "out.toml", "out.json"] {
        let said = bench.done(&format!("keys export {file}"));
        assert!(said.err.contains("hashes of all keys"));
        assert_eq!(
            bench.done(&format!("keys list --json --store {file}")).out,
            list,
            "{file}"
        );
        let store = format!("sqlite:{file}.db");
        bench.done(&format!("keys import {file} --store {store}"));
        assert_eq!(
            bench.done(&format!("keys list --json --store {store}")).out,
            list
        );
    }
    let piped = bench.done("keys export - --format json").out;
    assert_eq!(piped, bench.read("out.json"));
    assert!(!piped.contains(&key));
}

#[test]
fn an_export_is_for_its_owner_only_and_replaces_nothing_unasked() {
    let bench = Bench::new();
    bench.key("a", "");
    bench.done("keys export out.yaml");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = bench
            .path("out.yaml")
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    bench.run("keys export out.yaml").failed(1, "--force");
    bench.done("keys export out.yaml --force");
    bench
        .run("keys export ./keys.yaml --force")
        .failed(2, "the store itself");
    bench
        .run("keys import ./keys.yaml")
        .failed(2, "the store itself");
    bench
        .run("keys export no/where.yaml")
        .failed(1, "cannot be written");
}

#[test]
fn an_empty_store_is_exported_too() {
    let bench = Bench::new();
    bench.write("keys.yaml", "keys: []\n");
    for format in ["yaml", "toml", "json"] {
        bench.done(&format!("keys export empty.{format}"));
        let list = bench.done(&format!("keys list --json --store empty.{format}"));
        assert_eq!(list.json(), serde_json::json!([]));
    }
}

// FH15: Cortex keeps bare digests, and scopes in one text, and lets `chat:read` chat.
#[test]
fn keys_of_another_program_are_imported_with_scopes_of_this_one() {
    let bench = Bench::new();
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    bench.write(
        "cortex.yaml",
        format!("keys:\n  - key_id: ci\n    hash: {hash}\n    scopes: \"chat:read,models:read\"\n"),
    );
    bench.done("keys import cortex.yaml --map-scope chat:read=chat:write");
    assert_eq!(bench.asks("abc").as_deref(), Ok("ci"));
    let shown = bench.done("keys show ci --json").json();
    assert_eq!(
        shown["scopes"],
        serde_json::json!(["chat:write", "models:read"])
    );
    for wrong in ["chat:read", "chat:read=chat:*", "=x"] {
        let said = bench.run(&format!("keys import cortex.yaml --map-scope {wrong}"));
        assert_eq!(said.code, 2, "{wrong}: {}", said.all());
    }
}
