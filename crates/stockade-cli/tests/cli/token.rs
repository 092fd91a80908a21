//! `token issue`, `token inspect` and `token revoke`.

use serde_json::json;
use stockade_jwt::RevocationStore as _;

use crate::sandbox::Sandbox;

const ISSUE: &str = "token issue --iss id --aud api --sub alice --scope chat:write,models:read";

/// The key pair of RFC 8037, appendix A, in PEM.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
";
const JWKS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("private.pem", PRIVATE);
    sandbox.write("public.pem", PUBLIC);
    sandbox.write("jwks.json", JWKS);
    sandbox.write("secret", "s".repeat(32));
    sandbox
}

fn token(sandbox: &Sandbox, flags: &str) -> String {
    sandbox
        .run_ok(&format!("{ISSUE} {flags}"))
        .stdout
        .trim()
        .to_owned()
}

#[test]
fn an_issued_token_is_valid() {
    let sandbox = sandbox();
    let token = token(&sandbox, "--key-file private.pem --key-id k1");
    for flags in [
        "--key-file public.pem",
        "--jwks-file jwks.json",
        "--jwks-file jwks.json --iss id --aud api --algorithm EdDSA",
    ] {
        let output = sandbox.run_with(&format!("token inspect --json {flags}"), &token);
        assert_eq!(output.code, 0, "{flags}: {}", output.combined());
        let json = output.json();
        assert_eq!(json["verification"], "valid");
        assert_eq!(json["claims"]["scope"], "chat:write models:read");
        let signature = token.rsplit('.').next().unwrap();
        assert!(!output.combined().contains(signature));
    }
}

#[test]
fn marks_unverified_tokens() {
    let sandbox = sandbox();
    let token = token(&sandbox, "--key-file private.pem");
    let output = sandbox.run_with("token inspect", &token);
    assert_eq!(output.code, 0);
    assert!(
        output.stdout.starts_with("NOT VERIFIED"),
        "{}",
        output.stdout
    );
    assert!(output.stderr.contains("the token is not verified"));
    assert!(!output.combined().contains("valid\n"));
    let json = sandbox.run_with("token inspect --json", &token).json();
    assert_eq!(json["verification"], "unverified");
    assert_eq!(
        json["unchecked"],
        json!(["signature", "times", "issuer", "audience"])
    );
    sandbox
        .run_with("token inspect --iss id", &token)
        .assert_failed(2, "have no effect without a key");
}

#[test]
fn reports_why_a_token_is_invalid() {
    let sandbox = sandbox();
    let good = token(&sandbox, "--key-file private.pem");
    let hmac = token(&sandbox, "--key-file secret");
    let mut forged = good.clone();
    let last = if forged.ends_with('A') { "Q" } else { "A" };
    forged.replace_range(good.len() - 1.., last);
    for (token, flags, expected) in [
        (
            &good,
            "--key-file public.pem --iss other",
            "the issuer (`iss`) is different",
        ),
        (
            &good,
            "--key-file public.pem --aud other",
            "the audience (`aud`) is different",
        ),
        (
            &good,
            "--key-file secret",
            "the algorithm of the token (`alg`) does not match the key",
        ),
        (
            &hmac,
            "--key-file public.pem",
            "the algorithm of the token (`alg`) does not match the key",
        ),
        (&forged, "--key-file public.pem", ""),
    ] {
        let output = sandbox.run_with(&format!("token inspect {flags}"), token);
        assert_eq!(output.code, 1, "{flags}: {}", output.combined());
        assert!(
            output.stdout.starts_with("INVALID") && output.stdout.contains(expected),
            "{}",
            output.stdout
        );
    }
    for text in ["abc", "a.b.c", "eyJhbGciOiJub25lIn0.e30"] {
        let output = sandbox.run_with("token inspect", text);
        output.assert_failed(1, "not a signed token");
        assert!(!output.combined().contains(text));
    }
}

#[test]
fn reads_the_key_from_an_env_file() {
    let sandbox = sandbox();
    sandbox.write(
        ".env",
        format!("OTHER=1\nexport JWT_SECRET=\"{}\"\n", "s".repeat(32)),
    );
    let token = token(&sandbox, "--env-file .env --env-name JWT_SECRET");
    assert_eq!(
        sandbox
            .run_with("token inspect --key-file secret", &token)
            .code,
        0
    );
    sandbox
        .run(&format!("{ISSUE} --env-file .env"))
        .assert_failed(1, "has no variable STOCKADE_TOKEN_KEY");
}

#[test]
fn refuses_invalid_keys_and_options() {
    let sandbox = sandbox();
    sandbox.write("short", "s");
    assert_eq!(sandbox.run(ISSUE).code, 2, "no key");
    for (flags, code) in [
        ("--key-file short", 1),
        ("--key-file public.pem", 1),
        ("--key-file none", 1),
        ("--key-file private.pem --algorithm RS256", 1),
        ("--key-file private.pem --algorithm none", 2),
        ("--key-file private.pem --ttl 0", 2),
        ("--key-file private.pem --env-file x", 2),
        ("--key sssssssssssssssssssssssssssssssss", 2),
    ] {
        let output = sandbox.run(&format!("{ISSUE} {flags}"));
        assert_eq!(output.code, code, "{flags}: {}", output.combined());
        assert!(output.stdout.is_empty(), "{flags}");
    }
}

#[test]
fn writes_only_the_token_to_standard_output() {
    let sandbox = sandbox();
    let output = sandbox.run_ok(&format!("{ISSUE} --key-file secret --ttl 2d"));
    assert_eq!(output.stdout.lines().count(), 1);
    assert!(output.stderr.contains("Valid until") && output.stderr.contains("more than a day"));
    let output = sandbox.run_ok(&format!("{ISSUE} --key-file secret --json"));
    let json = output.json();
    assert_eq!(json["token"].as_str().unwrap().split('.').count(), 3);
    assert!(json["id"].is_string() && json["expires_at"].is_string());
}

// FS10
#[test]
fn revokes_a_token_in_the_database_of_an_administration() {
    let sandbox = sandbox();
    let output = sandbox.run_ok("token revoke u3kF --database sqlite:admin.db --until 15m");
    assert!(output.stderr.contains("Revoked until"), "{}", output.stderr);
    let url = format!("sqlite:{}", sandbox.path("admin.db").display());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let status = runtime.block_on(async {
        let tokens = stockade_admin::RevokedTokens::open(&url).await.unwrap();
        ["u3kF", "other"].map(|id| format!("{:?}", tokens.status(id)))
    });
    assert_eq!(status, ["Revoked", "NotRevoked"]);
}

#[test]
fn the_printed_command_revokes_the_token() {
    let sandbox = sandbox();
    let output = sandbox.run_ok(&format!("{ISSUE} --key-file secret"));
    let (_, command) = output.stderr.split_once("stockade ").unwrap();
    let command = command.trim().replace("FILE", "revoked.txt");
    sandbox.run_ok(&command);
    let json = sandbox
        .run_with("token inspect --json", output.stdout.trim())
        .json();
    let (id, exp) = (&json["claims"]["jti"], &json["claims"]["exp"]);
    let line = format!("{} {exp}\n", id.as_str().unwrap());
    assert_eq!(sandbox.read("revoked.txt"), line);

    let output = sandbox.run_ok("token revoke -abc --file revoked.txt");
    assert!(
        output.stderr.contains("Permanently revoked"),
        "{}",
        output.stderr
    );
    assert_eq!(sandbox.read("revoked.txt"), format!("{line}-abc\n"));
}

// FS10
#[test]
fn reports_invalid_revocations() {
    let sandbox = sandbox();
    sandbox.write("faulty.txt", "a tomorrow\n");
    for (flags, code, expected) in [
        ("token revoke a", 2, "--file"),
        (
            "token revoke a --file revoked.txt --until yesterday",
            2,
            "expected a duration",
        ),
        (
            "token revoke a --file revoked.txt --until 2020-01-01",
            2,
            "the time is in the past",
        ),
        ("token revoke #a --file revoked.txt", 2, "leading `#`"),
        ("token revoke a --file .", 1, "not a regular file"),
        (
            "token revoke a --file none/revoked.txt",
            1,
            "cannot be written",
        ),
    ] {
        sandbox.run(flags).assert_failed(code, expected);
    }
    // An invalid line is reported, and does not prevent a revocation.
    let output = sandbox.run_ok("token revoke b --file faulty.txt");
    assert!(output.stderr.contains("line 1"), "{}", output.stderr);
    assert_eq!(sandbox.read("faulty.txt"), "a tomorrow\nb\n");
}
