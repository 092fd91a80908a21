//! Tests the findings about unsafe configurations.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use stockade::{Config, DeploymentFacts, Environment, Finding, Format, Severity, check};
use stockade_core::clock::Timestamp;
use stockade_key_auth::{KeyDigest, KeyHash, KeyRecord};

const SAFE: &str = r#"
[auth]
keys_file = "keys.yaml"
[client_ip]
trusted_proxies = "10.0.0.0/8"
header = "x-forwarded-for"
[rate_limit]
by_ip = "600/minute"
by_key = "60/minute"
[concurrency]
per_key = 8
[store]
redis = "rediss://:f9c1ff33e81a@redis.internal"
on_failure = "local"
[audit]
file = "app.log"
on_overflow = "drop"
key_file = "audit.key"
"#;

fn findings(text: &str, facts: &DeploymentFacts) -> Vec<Finding> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("audit.key"), [b'x'; 32]).unwrap();
    let mut config = Config::parse(text, Format::Toml, &Environment::default()).unwrap();
    config.resolve_paths(folder.path());
    check(&config, facts)
}

fn key(id: &str, hash: impl Into<KeyHash>) -> KeyRecord {
    KeyRecord::new(id.parse().unwrap(), hash)
}

fn safe() -> DeploymentFacts {
    let key = key("a", KeyDigest::of(b"x")).expires(Timestamp::from_secs(9_999_999_999));
    DeploymentFacts {
        listen: Some("0.0.0.0:8000".parse().unwrap()),
        tls: false,
        client_certificates: None,
        key_file_mode: Some(0o100_600),
        pepper_file_mode: None,
        pepper_error: None,
        keys: vec![key],
        token_secret: Some(vec![b'x'; 44]),
        deny_list: None,
    }
}

#[test]
fn a_safe_configuration_has_no_findings() {
    assert_eq!(findings(SAFE, &safe()), []);
}

#[test]
fn reports_every_unsafe_setting() {
    for (from, to, severity, setting) in [
        (
            "[auth]",
            "[cors]\nallow_origins = \"*\"\nallow_credentials = true\n[auth]",
            Severity::Error,
            "cors.allow_credentials",
        ),
        (
            "[auth]",
            "[cors]\nallow_origins = \"*\"\n[auth]",
            Severity::Warning,
            "cors.allow_origins",
        ),
        (
            "trusted_proxies = \"10.0.0.0/8\"\nheader = \"x-forwarded-for\"",
            "",
            Severity::Error,
            "server.listen",
        ),
        (
            "10.0.0.0/8",
            "0.0.0.0/0",
            Severity::Error,
            "client_ip.trusted_proxies",
        ),
        (
            "trusted_proxies = \"10.0.0.0/8\"",
            "dangerous_trusted_proxy_count = 1",
            Severity::Warning,
            "client_ip.dangerous_trusted_proxy_count",
        ),
        (
            "by_ip = \"600/minute\"",
            "",
            Severity::Error,
            "rate_limit.by_ip",
        ),
        (
            "by_key = \"60/minute\"",
            "",
            Severity::Warning,
            "rate_limit.by_key",
        ),
        ("per_key = 8", "", Severity::Warning, "concurrency"),
        (
            "\"local\"",
            "\"allow\"",
            Severity::Error,
            "store.on_failure",
        ),
        (":f9c1ff33e81a@", "", Severity::Error, "store.redis"),
        ("f9c1ff33e81a", "changeme", Severity::Error, "store.redis"),
        ("rediss://", "redis://", Severity::Warning, "store.redis"),
        (
            "[auth]",
            "[abuse]\nreport_only = true\n[auth]",
            Severity::Warning,
            "abuse.report_only",
        ),
        (
            "[auth]",
            "[abuse]\nallow = \"::/0\"\n[auth]",
            Severity::Error,
            "abuse.allow",
        ),
        (
            "key_file = \"audit.key\"",
            "",
            Severity::Warning,
            "audit.key_file",
        ),
        (
            "[auth]",
            "[[routes]]\npath = \"/x\"\nmethods = \"POST\"\naccess = \"public\"\n[auth]",
            Severity::Warning,
            "routes[0].access",
        ),
    ] {
        let found = findings(&SAFE.replace(from, to), &safe());
        let found: Vec<_> = found
            .iter()
            .map(|f| (f.severity, f.setting.as_str()))
            .collect();
        assert_eq!(found, [(severity, setting)], "{from} -> {to}");
    }
}

#[test]
fn reports_unsafe_files_and_keys() {
    type Change = fn(&mut DeploymentFacts);
    const CHEAP: &str = "$2b$04$abcdefghijklmnopqrstuuW3o0o8LkRIqEwXKYXmnZy1Pcq3cQ1Wa";
    let changes: [(Change, &str); 5] = [
        (|it| it.key_file_mode = Some(0o644), "every user"),
        (
            |it| it.key_file_mode = Some(0o640),
            "the group of the file can read",
        ),
        (|it| it.keys[0].expires = None, "the key a never expires"),
        (
            |it| it.keys[0].hash = CHEAP.parse().unwrap(),
            "bcrypt hash with too low a cost",
        ),
        (
            |it| it.token_secret = Some(b"changeme\n".to_vec()),
            "can be guessed",
        ),
    ];
    for (change, reason) in changes {
        let mut facts = safe();
        change(&mut facts);
        let found = findings(SAFE, &facts);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].reason.contains(reason), "{found:?}");
    }
}

#[test]
fn revoked_keys_do_not_count() {
    let mut facts = safe();
    facts.keys[0].expires = None;
    facts.keys[0].revoked = Some(Timestamp::from_secs(1));
    assert_eq!(findings(SAFE, &facts), []);
}
