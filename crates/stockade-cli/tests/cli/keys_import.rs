//! `keys import` and `keys export`.

use crate::sandbox::Sandbox;

/// A key file of another program, and one of its keys.
fn third_party_key() -> (String, &'static str) {
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
fn imports_bcrypt_keys() {
    let sandbox = Sandbox::new();
    let (file, key) = third_party_key();
    sandbox.write("old.yaml", file);
    let output = sandbox.run_ok("keys import old.yaml");
    assert!(
        output.stdout.contains("old.yaml:2: team-core added"),
        "{}",
        output.stdout
    );
    assert!(
        output.stdout.contains("old.yaml:8: ci added"),
        "{}",
        output.stdout
    );
    assert_eq!(sandbox.authenticate(key).as_deref(), Ok("team-core"));
    assert_eq!(sandbox.authenticate("abc").as_deref(), Ok("ci"));

    let again = sandbox.run_ok("keys import old.yaml");
    assert_eq!(
        again.stdout.matches("skipped").count(),
        2,
        "{}",
        again.stdout
    );
}

#[test]
fn a_dry_run_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("old.yaml", third_party_key().0);
    for store in ["keys.yaml", "sqlite:keys.db"] {
        let output = sandbox.run_ok(&format!("keys import old.yaml --dry-run --store {store}"));
        assert!(
            output.stderr.contains("2 keys would be added"),
            "{}",
            output.stderr
        );
        assert!(
            output.stdout.contains("ci would be added"),
            "{}",
            output.stdout
        );
    }
    assert!(!sandbox.path("keys.yaml").exists() && !sandbox.path("keys.db").exists());
}

#[test]
fn conflicts_abort_an_import_unless_skipped() {
    for store in ["keys.yaml", "keys.toml", "sqlite:keys.db"] {
        let sandbox = Sandbox::new();
        sandbox.write("old.yaml", third_party_key().0);
        sandbox.run_ok(&format!("keys new --id ci --store {store}"));
        let count = || {
            let list = sandbox
                .run_ok(&format!("keys list --json --store {store}"))
                .json();
            list.as_array().unwrap().len()
        };
        let output = sandbox.run(&format!("keys import old.yaml --store {store}"));
        output.assert_failed(1, "nothing was added");
        assert!(
            output.stdout.contains("old.yaml:8: ci conflict"),
            "{}",
            output.stdout
        );
        assert_eq!(count(), 1, "{store}");

        let output = sandbox.run(&format!(
            "keys import old.yaml --json --skip-conflicts --store {store}"
        ));
        assert_eq!(output.code, 1);
        assert!(
            output.stdout.contains("conflict"),
            "{store}: {}",
            output.combined()
        );
        let json = output.json();
        assert_eq!(json["changed"], true);
        assert_eq!(json["keys"][1]["result"], "conflict");
        assert_eq!(count(), 2, "{store}");
    }
}

#[test]
fn an_import_does_not_revive_a_revoked_key() {
    let sandbox = Sandbox::new();
    sandbox.write("old.yaml", third_party_key().0);
    sandbox.run_ok("keys import old.yaml");
    sandbox.run_ok("keys revoke ci --yes");
    sandbox.run_ok("keys import old.yaml");
    assert_eq!(sandbox.authenticate("abc"), Err("revoked"));
}

#[test]
fn reports_the_line_of_an_invalid_file_without_its_hash() {
    let sandbox = Sandbox::new();
    let (file, _) = third_party_key();
    sandbox.write("old.yaml", file.replace("$sha256$ba78", "$md5$ba78"));
    let output = sandbox.run("keys import old.yaml");
    output.assert_failed(1, "old.yaml, line 9");
    assert!(!output.combined().contains("ba78"), "{}", output.combined());
    sandbox.write("twice.yaml", file.replace("\"ci\"", "\"team-core\""));
    sandbox
        .run("keys import twice.yaml")
        .assert_failed(1, "two keys have the id team-core");
    sandbox
        .run("keys import none.yaml")
        .assert_failed(1, "none.yaml cannot be read");
    assert!(!sandbox.path("keys.yaml").exists());
}

#[test]
fn exports_can_be_imported() {
    let sandbox = Sandbox::new();
    let key = sandbox.key(
        "a",
        "--owner o'\"#: --name 123 --metadata n=true --scope x --model m --requests-per-day 5",
    );
    sandbox.run_ok("keys rotate a");
    sandbox.run_ok("keys new --id b");
    let list = sandbox.run_ok("keys list --json").stdout;
    for file in ["out.yaml", "out.toml", "out.json"] {
        let output = sandbox.run_ok(&format!("keys export {file}"));
        assert!(output.stderr.contains("hashes of all keys"));
        assert_eq!(
            sandbox
                .run_ok(&format!("keys list --json --store {file}"))
                .stdout,
            list,
            "{file}"
        );
        let store = format!("sqlite:{file}.db");
        sandbox.run_ok(&format!("keys import {file} --store {store}"));
        assert_eq!(
            sandbox
                .run_ok(&format!("keys list --json --store {store}"))
                .stdout,
            list
        );
    }
    let piped = sandbox.run_ok("keys export - --format json").stdout;
    assert_eq!(piped, sandbox.read("out.json"));
    assert!(!piped.contains(&key));
}

#[test]
fn an_export_is_private_and_replaces_files_only_with_force() {
    let sandbox = Sandbox::new();
    sandbox.key("a", "");
    sandbox.run_ok("keys export out.yaml");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = sandbox
            .path("out.yaml")
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    sandbox
        .run("keys export out.yaml")
        .assert_failed(1, "--force");
    sandbox.run_ok("keys export out.yaml --force");
    sandbox
        .run("keys export ./keys.yaml --force")
        .assert_failed(2, "the store itself");
    sandbox
        .run("keys import ./keys.yaml")
        .assert_failed(2, "the store itself");
    sandbox
        .run("keys export no/where.yaml")
        .assert_failed(1, "cannot write no/where.yaml");
}

#[test]
fn exports_an_empty_store() {
    let sandbox = Sandbox::new();
    sandbox.write("keys.yaml", "keys: []\n");
    for format in ["yaml", "toml", "json"] {
        sandbox.run_ok(&format!("keys export empty.{format}"));
        let list = sandbox.run_ok(&format!("keys list --json --store empty.{format}"));
        assert_eq!(list.json(), serde_json::json!([]));
    }
}

// FH15: Cortex keeps bare digests, and scopes in one text, and lets `chat:read` chat.
#[test]
fn maps_scopes_of_another_program() {
    let sandbox = Sandbox::new();
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    sandbox.write(
        "cortex.yaml",
        format!("keys:\n  - key_id: ci\n    hash: {hash}\n    scopes: \"chat:read,models:read\"\n"),
    );
    sandbox.run_ok("keys import cortex.yaml --map-scope chat:read=chat:write");
    assert_eq!(sandbox.authenticate("abc").as_deref(), Ok("ci"));
    let shown = sandbox.run_ok("keys show ci --json").json();
    assert_eq!(
        shown["scopes"],
        serde_json::json!(["chat:write", "models:read"])
    );
    for wrong in ["chat:read", "chat:read=chat:*", "=x"] {
        let output = sandbox.run(&format!("keys import cortex.yaml --map-scope {wrong}"));
        assert_eq!(output.code, 2, "{wrong}: {}", output.combined());
    }
}
