//! `token issue` and `token inspect`.

use serde_json::json;

use crate::bench::Bench;

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

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("private.pem", PRIVATE);
    bench.write("public.pem", PUBLIC);
    bench.write("jwks.json", JWKS);
    bench.write("secret", "s".repeat(32));
    bench
}

fn token(bench: &Bench, flags: &str) -> String {
    bench
        .done(&format!("{ISSUE} {flags}"))
        .out
        .trim()
        .to_owned()
}

#[test]
fn an_issued_token_is_valid() {
    let bench = bench();
    let token = token(&bench, "--key-file private.pem --key-id k1");
    for flags in [
        "--key-file public.pem",
        "--jwks-file jwks.json",
        "--jwks-file jwks.json --iss id --aud api --algorithm EdDSA",
    ] {
        let said = bench.run_with(&format!("token inspect --json {flags}"), &token);
        assert_eq!(said.code, 0, "{flags}: {}", said.all());
        let json = said.json();
        assert_eq!(json["standing"], "valid");
        assert_eq!(json["claims"]["scope"], "chat:write models:read");
        let signature = token.rsplit('.').next().unwrap();
        assert!(!said.all().contains(signature));
    }
}

#[test]
fn what_was_not_verified_is_called_so_loudly() {
    let bench = bench();
    let token = token(&bench, "--key-file private.pem");
    let said = bench.run_with("token inspect", &token);
    assert_eq!(said.code, 0);
    assert!(said.out.starts_with("NOT VERIFIED"), "{}", said.out);
    assert!(said.err.contains("nothing of this was verified"));
    assert!(!said.all().contains("valid\n"));
    let json = bench.run_with("token inspect --json", &token).json();
    assert_eq!(json["standing"], "unverified");
    assert_eq!(
        json["unchecked"],
        json!(["signature", "times", "issuer", "audience"])
    );
    bench
        .run_with("token inspect --iss id", &token)
        .failed(2, "mean nothing without a key");
}

#[test]
fn says_why_a_token_is_refused() {
    let bench = bench();
    let good = token(&bench, "--key-file private.pem");
    let hmac = token(&bench, "--key-file secret");
    let mut forged = good.clone();
    let last = if forged.ends_with('A') { "Q" } else { "A" };
    forged.replace_range(good.len() - 1.., last);
    for (token, flags, expected) in [
        (&good, "--key-file public.pem --iss other", "another issuer"),
        (
            &good,
            "--key-file public.pem --aud other",
            "another audience",
        ),
        (
            &good,
            "--key-file secret",
            "an algorithm that is not that of the key",
        ),
        (
            &hmac,
            "--key-file public.pem",
            "an algorithm that is not that of the key",
        ),
        (&forged, "--key-file public.pem", ""),
    ] {
        let said = bench.run_with(&format!("token inspect {flags}"), token);
        assert_eq!(said.code, 1, "{flags}: {}", said.all());
        assert!(
            said.out.starts_with("REFUSED") && said.out.contains(expected),
            "{}",
            said.out
        );
    }
    for text in ["abc", "a.b.c", "eyJhbGciOiJub25lIn0.e30"] {
        let said = bench.run_with("token inspect", text);
        said.failed(1, "no signed token");
        assert!(!said.all().contains(text));
    }
}

#[test]
fn the_key_can_come_from_an_env_file() {
    let bench = bench();
    bench.write(
        ".env",
        format!("OTHER=1\nexport JWT_SECRET=\"{}\"\n", "s".repeat(32)),
    );
    let token = token(&bench, "--env-file .env --env-name JWT_SECRET");
    assert_eq!(
        bench
            .run_with("token inspect --key-file secret", &token)
            .code,
        0
    );
    bench
        .run(&format!("{ISSUE} --env-file .env"))
        .failed(1, "has no STOCKADE_TOKEN_KEY");
}

#[test]
fn refuses_what_makes_no_sound_token() {
    let bench = bench();
    bench.write("short", "s");
    assert_eq!(bench.run(ISSUE).code, 2, "no key");
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
        let said = bench.run(&format!("{ISSUE} {flags}"));
        assert_eq!(said.code, code, "{flags}: {}", said.all());
        assert!(said.out.is_empty(), "{flags}");
    }
}

#[test]
fn the_token_alone_goes_to_standard_output() {
    let bench = bench();
    let said = bench.done(&format!("{ISSUE} --key-file secret --ttl 2d"));
    assert_eq!(said.out.lines().count(), 1);
    assert!(said.err.contains("Good until") && said.err.contains("more than a day"));
    let said = bench.done(&format!("{ISSUE} --key-file secret --json"));
    let json = said.json();
    assert_eq!(json["token"].as_str().unwrap().split('.').count(), 3);
    assert!(json["id"].is_string() && json["expires_at"].is_string());
}

// FS10
#[test]
fn the_id_that_issue_prints_revokes_the_token() {
    let bench = bench();
    let said = bench.done(&format!("{ISSUE} --key-file secret"));
    let (_, command) = said.err.split_once("stockade ").unwrap();
    let command = command.trim().replace("FILE", "revoked.txt");
    bench.done(&command);
    let json = bench
        .run_with("token inspect --json", said.out.trim())
        .json();
    let (id, exp) = (&json["claims"]["jti"], &json["claims"]["exp"]);
    let line = format!("{} {exp}\n", id.as_str().unwrap());
    assert_eq!(bench.read("revoked.txt"), line);

    let said = bench.done("token revoke -abc --file revoked.txt");
    assert!(said.err.contains("for good"), "{}", said.err);
    assert_eq!(bench.read("revoked.txt"), format!("{line}-abc\n"));
}

// FS10
#[test]
fn says_what_cannot_be_revoked() {
    let bench = bench();
    bench.write("faulty.txt", "a tomorrow\n");
    for (flags, code, expected) in [
        ("token revoke a", 2, "--file"),
        (
            "token revoke a --file revoked.txt --until yesterday",
            2,
            "no expiry",
        ),
        (
            "token revoke a --file revoked.txt --until 2020-01-01",
            2,
            "passed already",
        ),
        ("token revoke #a --file revoked.txt", 2, "no `#`"),
        ("token revoke a --file .", 1, "no plain file"),
        (
            "token revoke a --file none/revoked.txt",
            1,
            "cannot be written",
        ),
    ] {
        bench.run(flags).failed(code, expected);
    }
    // A line that is wrong does not keep a token from being revoked, and is reported.
    let said = bench.done("token revoke b --file faulty.txt");
    assert!(said.err.contains("line 1"), "{}", said.err);
    assert_eq!(bench.read("faulty.txt"), "a tomorrow\nb\n");
}
