//! `check`.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::{
    check_remedies::{SAFE, direct, safe},
    sandbox::CommandOutput,
};

#[test]
fn accepts_a_safe_configuration() {
    let sandbox = safe();
    let output = sandbox.run_ok("check --strict");
    assert!(
        output.stderr.contains("0 errors, 0 warnings"),
        "{}",
        output.stderr
    );
    assert_eq!(output.stdout, "");
}

#[test]
fn reports_an_unsafe_configuration_with_remedies() {
    let sandbox = safe();
    sandbox.key("eternal", "--expires never");
    let mode = fs::Permissions::from_mode(0o644);
    fs::set_permissions(sandbox.path("keys.yaml"), mode).unwrap();
    sandbox.write("stockade.toml", direct("0.0.0.0:8000"));
    let output = sandbox.run("check");
    assert_eq!(output.code, 1);
    for part in [
        "error: stockade.toml:2: server.listen: ",
        "error: stockade.toml:6: auth.keys_file: every user",
        "warning: stockade.toml:6: auth.keys_file: the key eternal never expires",
        "  help: chmod 600 keys.yaml",
    ] {
        assert!(output.stdout.contains(part), "{part}: {}", output.stdout);
    }
}

// FP04
#[test]
fn refuses_the_hash_of_a_well_known_secret() {
    let sandbox = safe();
    // The hash of `password`.
    sandbox.write(
        "keys.yaml",
        "keys:\n  - key_id: team-core\n    hash: \"sha256:\
         5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8\"\n",
    );
    let output = sandbox.run("check");
    assert_eq!(output.code, 1);
    let error = "line 2 is not valid: the key team-core: its hash is that of a well-known secret";
    assert!(output.stderr.contains(error), "{}", output.stderr);
}

#[test]
fn tls_allows_a_public_address() {
    let sandbox = safe();
    let public = direct("0.0.0.0:8000");
    sandbox.write("stockade.toml", &public);
    assert_eq!(sandbox.run("check").code, 1);
    sandbox.run_ok("check --tls");
    sandbox.write("c.pem", "");
    sandbox.write("k.pem", "");
    let files = "[server.tls]\ncertificate_file = \"c.pem\"\nkey_file = \"k.pem\"\n";
    sandbox.write("stockade.toml", public + files);
    sandbox.run_ok("check");
}

#[test]
fn certificates_require_a_server_that_verifies_them() {
    let sandbox = safe();
    let new = "keys new --id agent --certificate spiffe://example.org/agent --expires never";
    sandbox.run_ok(new);
    let output = sandbox.run("check");
    assert_eq!(output.code, 1);
    for part in [
        "error: server.tls.client_ca_file: 1 key has a client certificate, which the server does not",
        "  help: set server.tls.client_ca_file to the authorities of the clients: \"clients.pem\"",
    ] {
        assert!(output.stdout.contains(part), "{part}: {}", output.stdout);
    }
    // Another program may verify them.
    sandbox.run_ok("check --strict --library");
    for file in ["c.pem", "k.pem", "clients.pem"] {
        sandbox.write(file, "");
    }
    let tls = "[server.tls]\ncertificate_file = \"c.pem\"\nkey_file = \"k.pem\"\n\
               client_ca_file = \"clients.pem\"\n";
    sandbox.write("stockade.toml", format!("{SAFE}{tls}"));
    sandbox.run_ok("check");
}

#[test]
fn lists_of_revoked_certificates_must_be_valid_and_have_authorities() {
    let sandbox = safe();
    for file in ["c.pem", "k.pem", "clients.pem"] {
        sandbox.write(file, "");
    }
    let tls = "[server.tls]\ncertificate_file = \"c.pem\"\nkey_file = \"k.pem\"\n\
               client_crl_file = \"clients.crl.pem\"\n";
    let check = |tls: &str, expected: &str| {
        sandbox.write("stockade.toml", format!("{SAFE}{tls}"));
        let output = sandbox.run("check");
        assert_eq!(output.code, 1);
        assert!(
            output.stdout.contains(expected),
            "{expected}: {}",
            output.stdout
        );
    };
    check(
        tls,
        "server.tls.client_crl_file: there are no authorities of clients",
    );
    let tls = &format!("{tls}client_ca_file = \"clients.pem\"\n");
    check(tls, "server.tls.client_crl_file: cannot read");
    sandbox.write("clients.crl.pem", "");
    check(tls, "clients.crl.pem has no valid list");
}

#[test]
fn warnings_fail_only_with_strict() {
    let sandbox = safe();
    sandbox.key("eternal", "--expires never");
    sandbox.write("stockade.toml", SAFE);
    sandbox.run_ok("check");
    assert_eq!(sandbox.run("check --strict").code, 1);
}

#[test]
fn reports_an_unknown_field() {
    let sandbox = safe();
    sandbox.write("stockade.toml", SAFE.replace("by_key", "by_kee"));
    let output = sandbox.run("check");
    assert_eq!(output.code, 1);
    let expected = "stockade.toml:12: unknown field `by_kee`\n  help: did you mean `by_key`?";
    assert!(output.stderr.contains(expected), "{}", output.stderr);
}

// FS06
#[test]
fn reports_the_errors_of_the_server() {
    for (from, to, expected) in [
        (
            "[auth]",
            "[[routes]]\npath = \"v1/x\"\nmethods = \"GET\"\naccess = \"public\"\n[auth]",
            "stockade.toml:6: routes[0].path: \"v1/x\" does not begin with a slash",
        ),
        (
            "[auth]",
            "[[routes]]\npath = \"/v1/{x\"\nmethods = \"GET\"\naccess = \"public\"\n[auth]",
            "stockade.toml:6: routes[0].path: GET /v1/{x has an invalid pattern",
        ),
        (
            "[auth]",
            "[[routes]]\npath = \"/x\"\nmethods = \"GET\"\naccess = \"public\"\n\
             [[routes]]\npath = \"/x\"\nmethods = \"GET\"\naccess = \"a:b\"\n[auth]",
            "stockade.toml:10: routes[1].path: GET /x has two rules",
        ),
        (
            "[auth]",
            "[[routes]]\npath = \"/x\"\nmethods = \"PSOT\"\naccess = \"public\"\n[auth]",
            "stockade.toml:7: routes[0].methods: \"PSOT\" is not an HTTP method; did you mean POST?",
        ),
        (
            "[auth]",
            "[server.tls]\ncertificate_file = \"c.pem\"\nkey_file = \"k.pem\"\n[auth]",
            "stockade.toml:6: server.tls.certificate_file: cannot read",
        ),
        (
            "listen",
            "lisen",
            "unknown field `lisen`\n  help: did you mean `listen`?",
        ),
        (
            "source = \"./model\"",
            "source = \"./model\"\nmax_runing = 1",
            "stockade.toml:5: unknown field `max_runing`\n  help: did you mean `max_running`?",
        ),
        (
            "source = \"./model\"",
            "source = \"./none\"",
            "stockade.toml:4: model.source: ",
        ),
        (
            "[model]\nsource = \"./model\"",
            "",
            "model: the server has no model",
        ),
        (
            "keys_file = \"keys.yaml\"",
            "",
            "auth: no source of keys is set",
        ),
        (
            "header = \"x-forwarded-for\"",
            "",
            "client_ip: proxies are trusted, but client_ip.header is not set",
        ),
        (
            "[audit]\nfile = \"app.log\"\n",
            "[audit]\n",
            "audit: no destination of records is set",
        ),
        (
            "[audit]",
            "[abuse.weights]\nbad = 1\n[audit]",
            "abuse.weights.bad: unknown signal",
        ),
        (
            "\"local\"",
            "\"local\"\nlocal_fraction = 7",
            "store.local_fraction: ",
        ),
        ("audit.key", "none.key", "audit.key_file: cannot read"),
    ] {
        let sandbox = safe();
        assert!(SAFE.contains(from), "{from}");
        sandbox.write("stockade.toml", SAFE.replacen(from, to, 1));
        let output = sandbox.run("check");
        assert_eq!(output.code, 1, "{to}");
        assert!(
            output.combined().contains(expected),
            "{expected}: {}",
            output.combined()
        );
    }
}

// FS07, FS06
#[test]
fn checks_yaml_in_the_same_way_as_toml() {
    let sandbox = safe();
    let yaml = "server:\n  listen: 0.0.0.0:8102\nmodel: {source: ./model}\nauth:\n  keys_file: \
                keys.yaml\nrate_limit: {by_ip: 600/minute}\n";
    sandbox.write("stockade.yaml", yaml);
    let output = sandbox.run("check stockade.yaml");
    assert_eq!(output.code, 1);
    let expected = "error: stockade.yaml:2: server.listen: keys are sent in plain text";
    assert!(output.stdout.contains(expected), "{}", output.combined());
}

// FS06
#[test]
fn help_for_a_key_without_expiry_works() {
    let sandbox = safe();
    sandbox.key("eternal", "--expires never");
    let output = sandbox.run("check");
    assert!(
        output.stdout.contains("add expires_at: \""),
        "{}",
        output.stdout
    );
    assert!(
        output.stdout.contains("the key eternal never expires"),
        "{}",
        output.stdout
    );
    // A rotation alone keeps the expiry.
    sandbox.run_ok("keys rotate eternal");
    assert!(sandbox.run("check").stdout.contains("never expires"));
    let help = "stockade keys rotate eternal --store ";
    let help = output
        .stdout
        .split_once(help)
        .unwrap()
        .1
        .lines()
        .next()
        .unwrap();
    sandbox.run_ok(&format!("keys rotate eternal --again --store {help}"));
    assert!(!sandbox.run("check").stdout.contains("never expires"));
}

// FS05
#[test]
fn ignores_unrelated_variables_that_are_not_utf_8() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let sandbox = safe();
    let mut command = sandbox.command("check");
    command.env("LANGUAGE", OsStr::from_bytes(b"\xff\xfe"));
    let output: CommandOutput = command.output().unwrap().into();
    assert_eq!(output.code, 0, "{}", output.combined());

    let mut command = sandbox.command("check");
    command.env("STOCKADE_AUTH__REALM", OsStr::from_bytes(b"\xff\xfe"));
    let output: CommandOutput = command.output().unwrap().into();
    output.assert_failed(1, "STOCKADE_AUTH__REALM: is not UTF-8");
}

// FS04
#[test]
fn shows_the_origin_of_each_setting() {
    let sandbox = safe();
    let mut command = sandbox.command("check --settings");
    command.env("STOCKADE_CONCURRENCY__TOTAL", "9");
    let output: CommandOutput = command.output().unwrap().into();
    for line in [
        "rate_limit.by_ip = \"600/minute\"  # stockade.toml:11",
        "concurrency.total = \"9\"  # STOCKADE_CONCURRENCY__TOTAL",
        "store.redis = …  # stockade.toml:16",
    ] {
        assert!(output.stdout.contains(line), "{line}: {}", output.stdout);
    }
}

#[test]
fn library_mode_ignores_server_sections() {
    let sandbox = safe();
    sandbox.write("stockade.toml", SAFE.replace("listen", "port"));
    assert_eq!(sandbox.run("check").code, 1);
    sandbox.run_ok("check --library --strict");
}

#[test]
fn shows_the_memory_of_a_local_model() {
    let sandbox = safe();
    sandbox.write(
        "model/config.json",
        "{ \"hidden_size\": 64, \"num_attention_heads\": 4, \"num_hidden_layers\": 2, \
         \"max_position_embeddings\": 4096 }",
    );
    let header = "{\"a.weight\":{\"dtype\":\"BF16\",\"shape\":[64,64],\"data_offsets\":[0,8192]}}";
    let length = u8::try_from(header.len()).unwrap();
    let file = [&[length, 0, 0, 0, 0, 0, 0, 0], header.as_bytes()].concat();
    fs::write(sandbox.path("model/model.safetensors"), file).unwrap();
    let output = sandbox.run_ok("check");
    // In single precision, because the model runs on the CPU.
    let shown =
        "model: 4.0 MiB of memory needed (weights 16.0 KiB, KV cache 4.0 MiB, images 0.0 KiB)";
    assert!(output.stderr.contains(shown), "{}", output.stderr);
}

#[test]
fn warns_about_a_model_that_others_can_change() {
    let sandbox = safe();
    let mode = fs::Permissions::from_mode(0o777);
    fs::set_permissions(sandbox.path("model"), mode).unwrap();
    let output = sandbox.run_ok("check");
    let warning = "warning: stockade.toml:4: model.source: all users can change";
    assert!(output.stdout.contains(warning), "{}", output.stdout);
    assert!(
        output.stdout.contains("help: chmod -R go-w"),
        "{}",
        output.stdout
    );
}

#[test]
fn shows_the_compatibility_routes_of_an_administration() {
    let sandbox = safe();
    let admin = |systems: &str| format!("{SAFE}\n[admin]\ncompatibility = {systems}\n");
    sandbox.write("stockade.toml", admin("[\"cortex\", \"holo\"]"));
    let output = sandbox.run_ok("check");
    let note = "admin: compatibility routes for cortex, holo";
    assert!(output.stderr.contains(note), "{}", output.stderr);
    for (systems, error) in [
        ("[\"litellm\"]", "known are inferno, sollol, cortex, holo"),
        ("[\"sollol\"]", "add inferno or cortex"),
    ] {
        sandbox.write("stockade.toml", admin(systems));
        sandbox.run("check").assert_failed(1, error);
    }
}
