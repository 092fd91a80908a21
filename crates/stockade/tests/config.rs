//! Tests valid and invalid configurations.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use stockade::{
    Config, ConfigError, Environment, Format, LEGACY_NAMES, OnFailure, OnOverflow, RouteAccess,
};

const AUTH: &str = "[auth]\nkeys_file = \"keys.yaml\"\n";

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let text = format!("{AUTH}{text}");
    Config::parse(
        &text,
        Format::Toml,
        &Environment::new(environment.iter().copied()).legacy_names(),
    )
}

fn error(text: &str, environment: &[(&str, &str)]) -> String {
    parse(text, environment).unwrap_err().to_string()
}

#[test]
fn only_the_keys_are_required() {
    let config = parse("", &[]).unwrap();
    assert!(config.rate_limit.by_ip.is_empty());
    assert_eq!(config.abuse.threshold.get(), 5);
    assert!(config.store.is_none());
}

#[test]
fn reads_yaml_like_toml() {
    let text = "auth:\n  keys_file: keys.yaml\nroutes:\n  - path: /v1/models\n    methods: GET\n    \
                access: models:read\nrate_limit:\n  by_key: [60/minute, 10000/day]\n";
    let config = Config::parse(text, Format::Yaml, &Environment::default()).unwrap();
    let access = RouteAccess::Scope("models:read".parse().unwrap());
    assert_eq!(config.routes[0].access, access);
    assert_eq!(config.rate_limit.by_key.len(), 2);
    let error =
        Config::parse("auth: {keys: x}", Format::Yaml, &Environment::default()).unwrap_err();
    assert!(
        error.to_string().contains("unknown field `keys`"),
        "{error}"
    );
}

// R08
#[test]
fn errors_have_an_origin_and_a_remedy() {
    for (text, expected) in [
        (
            "[rate_limt]\n",
            "line 3: unknown field `rate_limt`; did you mean `rate_limit`?",
        ),
        ("[rate_limit]\nby_ip = \"0/minute\"\n", "line 4: "),
        ("[rate_limit]\nby_ip = [\"60/fortnight\"]\n", "line 4: "),
        (
            "[store]\nredis = \"redis://h\"\n",
            "line 3: missing field `on_failure`",
        ),
        (
            "[client_ip]\ntrusted_proxies = \"10.0.0.0/33\"\n",
            "line 4: ",
        ),
        (
            "[[routes]]\npath = \"/x\"\nmethods = \"GET\"\naccess = \"a b\"\n",
            "line 6: ",
        ),
    ] {
        let error = error(text, &[]);
        assert!(error.starts_with(expected), "{text}: {error}");
    }
}

#[test]
fn the_environment_takes_precedence_over_the_file() {
    let text = "[abuse]\nthreshold = 7\nwindow_secs = 60\n";
    let environment = [
        ("STOCKADE_ABUSE__THRESHOLD", "9"),
        ("STOCKADE_STORE__REDIS", "redis://:secret@host"),
        ("STOCKADE_STORE__ON_FAILURE", "deny"),
        (
            "STOCKADE_CORS__ALLOW_ORIGINS",
            "https://a.example, https://b.example",
        ),
        ("HOME", "/root"),
        ("STOCKADE_KEYS", "keys.db"),
    ];
    let config = parse(text, &environment).unwrap();
    assert_eq!(
        (config.abuse.threshold.get(), config.abuse.window_secs.get()),
        (9, 60)
    );
    assert_eq!(config.cors.allow_origins.len(), 2);
    let store = config.store.as_ref().unwrap();
    assert_eq!(store.on_failure, OnFailure::Deny);
    assert_eq!(store.redis.expose(), "redis://:secret@host");
    assert!(!format!("{config:?}").contains("secret"));

    let typo = error("", &[("STOCKADE_ABUSE__TRESHOLD", "9")]);
    assert!(
        typo.contains("did you mean STOCKADE_ABUSE__THRESHOLD?"),
        "{typo}"
    );
}

#[test]
fn reads_legacy_names() {
    let environment = [
        ("RATE_LIMIT_IP", "60/minute"),
        ("BURST_IP", "10"),
        ("RATE_LIMIT_KEY", "100/minute"),
        ("BURST_KEY", "20"),
        ("ABUSE_THRESHOLD_ERRORS", "8"),
        ("ABUSE_WINDOW_SECONDS", "45"),
        ("DENYLIST_FILE", "deny.txt"),
        ("CORS_ALLOW_ORIGINS", "https://a.example,https://b.example"),
        ("MAX_BODY_MB", "5"),
        ("MAX_IMAGE_SIDE", "2048"),
        ("MAX_TOKENS_LIMIT", "1000"),
        ("AUDIT_LOG_FILE", "app.log"),
        ("STOCKADE_AUDIT__ON_OVERFLOW", "block"),
        ("API_KEYS_FILE", "other.yaml"),
        ("TRUST_PROXY_HEADERS", "true"),
        ("TRUSTED_PROXY_COUNT", "2"),
        ("MAX_CONCURRENT_STREAMS_PER_ID", "4"),
    ];
    let config = parse("", &environment).unwrap();
    assert_eq!(
        config.rate_limit.by_ip,
        ["60/minute burst 10".parse().unwrap()]
    );
    assert_eq!(
        config.rate_limit.by_key,
        ["100/minute burst 20".parse().unwrap()]
    );
    // FC04: servers with this variable count invalid images.
    assert!(config.abuse.count_invalid_images);
    assert_eq!(
        (config.abuse.threshold.get(), config.abuse.window_secs.get()),
        (8, 45)
    );
    assert_eq!(config.abuse.deny_list.unwrap().to_str(), Some("deny.txt"));
    assert_eq!(config.cors.allow_origins.len(), 2);
    assert_eq!(config.body.max_mb.get(), 5);
    assert_eq!(config.body.images.max_side.get(), 2_048);
    assert_eq!(config.body.max_tokens.get(), 1_000);
    let audit = config.audit.unwrap();
    assert_eq!(audit.file, Some("app.log".into()));
    assert_eq!(audit.on_overflow, OnOverflow::Block);
    assert_eq!(config.auth.keys_file.unwrap().to_str(), Some("other.yaml"));
    assert_eq!(config.client_ip.dangerous_trusted_proxy_count, Some(2));
    assert!(config.client_ip.proxies().is_ok());
    assert_eq!(config.concurrency.per_key.unwrap().get(), 4);

    let rps = [
        ("RATE_LIMIT_RPS", "5"),
        ("RATE_LIMIT_BURST", "30"),
        ("RATE_LIMIT_WINDOW_SEC", "10"),
    ];
    let config = parse("", &rps).unwrap();
    assert_eq!(
        config.rate_limit.by_ip,
        ["50/10s burst 30".parse().unwrap()]
    );
    let legacy = rps
        .iter()
        .chain(&environment)
        .filter(|(name, _)| !name.contains("__"));
    for (name, _) in legacy {
        assert!(
            LEGACY_NAMES.iter().any(|(known, _)| known == name),
            "{name}"
        );
    }
}

#[test]
fn refuses_incomplete_and_conflicting_legacy_names() {
    for (environment, expected) in [
        (&[("BURST_IP", "10")][..], "RATE_LIMIT_IP"),
        (
            &[("RATE_LIMIT_IP", "5/s"), ("RATE_LIMIT_RPS", "5")],
            "cannot be combined with RATE_LIMIT_RPS",
        ),
        (
            &[("TRUST_PROXY_HEADERS", "perhaps")],
            "neither true nor false",
        ),
        (&[("RATE_LIMIT_RPS", "fast")], "is not a whole number"),
    ] {
        let error = error("", environment);
        assert!(error.contains(expected), "{environment:?}: {error}");
    }
}

#[test]
fn refuses_proxies_without_a_header_and_a_header_without_proxies() {
    for text in [
        "[client_ip]\nheader = \"x-forwarded-for\"\n",
        "[client_ip]\ntrusted_proxies = [\"10.0.0.0/8\"]\n",
        "[client_ip]\ndangerous_trusted_proxy_count = 1\n",
    ] {
        let error = parse(text, &[]).unwrap().client_ip.proxies().unwrap_err();
        assert!(error.to_string().starts_with("client_ip"), "{error}");
    }
}

#[test]
fn refuses_a_weight_of_an_unknown_signal() {
    let config = parse("[abuse.weights]\nnot_found = 2\nbad_key = 1\n", &[]).unwrap();
    let error = config
        .abuse
        .policy(&config.client_ip)
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("abuse.weights.bad_key: "), "{error}");
}
