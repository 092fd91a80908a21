//! Tests the origins of values and the errors and warnings about them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "the child process reports its result")]

use std::{
    env, fs,
    process::{Command, Output},
};

use stockade::{Change, Config, ConfigError, Environment, Format};

const AUTH: &str = "[auth]\nkeys_file = \"keys.yaml\"\n";

fn with(text: &str, environment: &Environment) -> Result<Config, ConfigError> {
    Config::parse(&format!("{AUTH}{text}"), Format::Toml, environment)
}

fn variables(variables: &[(&str, &str)]) -> Environment {
    Environment::new(variables.iter().copied())
}

fn error(text: &str, environment: &Environment) -> String {
    with(text, environment).unwrap_err().to_string()
}

fn warnings(text: &str, environment: &Environment) -> Vec<String> {
    let config = with(text, environment).unwrap();
    config.warnings().iter().map(ToString::to_string).collect()
}

const CHILD: &str = "STOCKADE_TEST_READS_THE_PROCESS";

/// Runs `reads_the_process` in a child process with this variable.
#[cfg(unix)]
fn in_a_process(name: &str, value: &[u8]) -> Output {
    use std::os::unix::ffi::OsStrExt;

    Command::new(env::current_exe().unwrap())
        .args(["--exact", "reads_the_process", "--nocapture"])
        .env(CHILD, "1")
        .env(name, std::ffi::OsStr::from_bytes(value))
        .output()
        .unwrap()
}

#[test]
fn reads_the_process() {
    if env::var_os(CHILD).is_some() {
        match with("", &Environment::from_process().legacy_names()) {
            Ok(_) => println!("taken"),
            Err(error) => println!("refused: {error}"),
        }
    }
}

// FS05
#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf_8_is_an_error_only_where_it_is_a_setting() {
    for (name, expected) in [
        ("LANGUAGE", "taken"),
        ("STOCKADE_KEYS", "taken"),
        (
            "STOCKADE_AUTH__REALM",
            "refused: STOCKADE_AUTH__REALM: is not UTF-8",
        ),
        ("DENYLIST_FILE", "refused: DENYLIST_FILE: is not UTF-8"),
    ] {
        let output = in_a_process(name, b"\xff\xfe");
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{name}: {out}");
        assert!(out.contains(expected), "{name}: {out}");
    }
}

// FS04
#[test]
fn errors_name_the_variable_or_the_line() {
    let set = variables(&[("STOCKADE_CONCURRENCY__TOTAL", "9")]);
    let message = error("[rate_limit]\nby_ip = \"fast\"\n", &set);
    assert!(
        message.starts_with("line 4: rate_limit.by_ip: "),
        "{message}"
    );

    let good = "[rate_limit]\nby_ip = \"600/minute\"\n";
    for (name, value) in [
        ("STOCKADE_RATE_LIMIT__BY_IP", "fast"),
        ("STOCKADE_ABUSE__THRESHOLD", "many"),
        ("STOCKADE_ABUSE__THRESHOLD", "0"),
        ("STOCKADE_BODY__MAX_MB", "-1"),
        ("STOCKADE_ABUSE__ENABLED", "perhaps"),
        ("STOCKADE_STORE__ON_FAILURE", "shrug"),
        ("STOCKADE_ABUSE__WEIGHTS__NOT_FOUND", "few"),
    ] {
        let message = error(good, &variables(&[(name, value)]));
        assert!(message.starts_with(&format!("{name}: ")), "{message}");
        assert!(!message.contains("line"), "{message}");
    }
    for (name, value) in [
        ("MAX_TOKENS_LIMIT", "abc"),
        ("RATE_LIMIT_IP", "fast"),
        ("ABUSE_THRESHOLD_ERRORS", "0"),
        ("TRUSTED_PROXY_COUNT", "x"),
    ] {
        let environment = variables(&[(name, value), ("TRUST_PROXY_HEADERS", "true")]);
        let message = error(good, &environment.legacy_names());
        assert!(message.starts_with(&format!("{name}: ")), "{message}");
    }
}

// FS04
#[test]
fn errors_in_toml_and_yaml_files_have_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let set = variables(&[("STOCKADE_CONCURRENCY__TOTAL", "9")]);
    for (name, text, place) in [
        (
            "a.toml",
            "[auth]\nkeys_file = \"k\"\n\n[rate_limit]\nby_ip = [\n  \"60/minute\",\n  \"fast\",\n]\n",
            "a.toml:7: rate_limit.by_ip[1]: ",
        ),
        (
            "b.yaml",
            "auth:\n  keys_file: k\n\nrate_limit:\n  by_ip:\n    - 60/minute\n    - fast\n",
            "b.yaml:7: rate_limit.by_ip[1]: ",
        ),
        (
            "c.yaml",
            "auth:\n  keys_file: k\nrate_limt:\n  by_ip: 60/minute\n",
            "c.yaml:3: unknown field `rate_limt`; did you mean `rate_limit`?",
        ),
        (
            "d.yaml",
            "auth:\n  keys_file: k\nroutes:\n  - path: /x\n    methods: GET\n    acess: public\n",
            "d.yaml:6: unknown field `acess`; did you mean `access`?",
        ),
        ("e.yaml", "auth:\n  keys_file: k\n bad: 1\n", "e.yaml:"),
        (
            "f.toml",
            "[auth]\nkeys_file = \"k\"\n[[routes]]\npath = \"/x\"\naccess = \"public\"\n",
            "f.toml:3: missing field `methods`",
        ),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let message = Config::read(&path, &set).unwrap_err().to_string();
        let expected = folder.path().join(place).display().to_string();
        assert!(message.starts_with(&expected), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

// FS04
#[test]
fn each_value_has_its_origin() {
    let text = "[store]\nredis = \"redis://:hunter2@h\"\non_failure = \"deny\"\n\
                [[routes]]\npath = \"/x\"\nmethods = \"GET\"\naccess = \"public\"\n";
    let environment = variables(&[
        ("STOCKADE_RATE_LIMIT__BY_KEY", "60/minute"),
        ("RATE_LIMIT_IP", "60/minute"),
        ("BURST_IP", "10"),
    ]);
    let config = with(text, &environment.legacy_names()).unwrap();
    for (setting, origin) in [
        ("auth.keys_file", "line 2"),
        ("store.on_failure", "line 5"),
        ("routes[0].methods", "line 8"),
        ("rate_limit.by_key", "STOCKADE_RATE_LIMIT__BY_KEY"),
        ("rate_limit.by_ip", "RATE_LIMIT_IP and BURST_IP"),
    ] {
        assert_eq!(config.origin(setting).unwrap().to_string(), origin);
    }
    assert!(config.origin("abuse.threshold").is_none());
    let shown = format!("{:?}", config.settings());
    assert!(
        shown.contains("60/minute") && !shown.contains("hunter2"),
        "{shown}"
    );
}

// FS04
#[tokio::test]
async fn errors_of_the_fence_have_the_origin_of_the_setting() {
    let config = with(
        "[[routes]]\npath = \"/v1/x\"\nmethods = \"GET\"\naccess = \"public\"\n",
        &variables(&[("STOCKADE_CLIENT_IP__HEADER", "x-forwarded-for")]),
    );
    let error = stockade::Fence::from_config(&config.unwrap()).await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.starts_with("STOCKADE_CLIENT_IP__HEADER: client_ip.header: "),
        "{error}"
    );
}

// FS04
#[test]
fn legacy_names_are_read_only_if_enabled() {
    let environment = variables(&[("RATE_LIMIT_IP", "60/minute"), ("CORS_ALLOW_ORIGINS", "*")]);
    let config = with("", &environment).unwrap();
    assert!(config.rate_limit.by_ip.is_empty() && config.cors.allow_origins.is_empty());
    assert!(config.legacy_names().is_empty() && config.warnings().is_empty());

    let config = with("", &environment.legacy_names()).unwrap();
    assert_eq!(config.rate_limit.by_ip.len(), 1);
    assert_eq!(
        config.legacy_names(),
        [
            ("CORS_ALLOW_ORIGINS", "cors.allow_origins"),
            ("RATE_LIMIT_IP", "rate_limit.by_ip"),
        ]
    );
}

// FP07
#[test]
fn the_environment_takes_precedence_over_legacy_names_and_these_over_the_file() {
    let file =
        "[rate_limit]\nby_ip = \"1/minute\"\nby_key = \"1/minute\"\n[abuse]\nthreshold = 1\n";
    let environment = variables(&[
        ("STOCKADE_RATE_LIMIT__BY_IP", "3/minute"),
        ("RATE_LIMIT_IP", "2/minute"),
        ("RATE_LIMIT_KEY", "2/minute"),
    ]);
    let config = with(file, &environment.legacy_names()).unwrap();
    assert_eq!(config.rate_limit.by_ip[0].count(), 3);
    assert_eq!(config.rate_limit.by_key[0].count(), 2);
    assert_eq!(config.abuse.threshold.get(), 1);
    // Overridden names are not listed.
    assert_eq!(
        config.legacy_names(),
        [("RATE_LIMIT_KEY", "rate_limit.by_key")]
    );
}

// FA10
#[test]
fn warns_if_a_legacy_name_loosens_or_overrides_a_setting() {
    for (file, name, value, expected) in [
        (
            "",
            "TRUST_PROXY_HEADERS",
            "true",
            "TRUST_PROXY_HEADERS: trusts X-Forwarded-For from any sender",
        ),
        (
            "",
            "CORS_ALLOW_ORIGINS",
            "https://a.example",
            "CORS_ALLOW_ORIGINS: allows web pages",
        ),
        (
            "[cors]\nallow_origins = \"https://b.example\"\n",
            "CORS_ALLOW_ORIGINS",
            "https://a.example",
            "overrides cors.allow_origins (line 4)",
        ),
        (
            "[rate_limit]\nby_ip = \"6/minute\"\n",
            "RATE_LIMIT_IP",
            "600/minute",
            "RATE_LIMIT_IP: overrides rate_limit.by_ip (line 4)",
        ),
        (
            "[client_ip]\ntrusted_proxies = \"10.0.0.0/8\"\nheader = \"forwarded\"\n",
            "TRUST_PROXY_HEADERS",
            "true",
            "TRUST_PROXY_HEADERS: has no effect: line 4 sets client_ip.trusted_proxies",
        ),
        (
            "[rate_limit]\nby_ip = \"6/minute\"\n",
            "RATE_LIMIT_ENABLED",
            "false",
            "RATE_LIMIT_ENABLED: disables the rate limits",
        ),
        (
            "[concurrency]\ntotal = 6\n",
            "CONCURRENCY_LIMIT_ENABLED",
            "false",
            "CONCURRENCY_LIMIT_ENABLED: overrides concurrency.total (line 4)",
        ),
    ] {
        let environment = variables(&[(name, value)]).legacy_names();
        let found = warnings(file, &environment);
        assert!(
            found.iter().any(|warning| warning.contains(expected)),
            "{name}: {found:?}"
        );
        let config = with(file, &environment).unwrap();
        let unset = Change::Unset {
            variable: name.to_owned(),
        };
        for warning in config.warnings() {
            assert!(warning.remedy().changes.contains(&unset), "{warning}");
        }
    }
}

// FS03
#[test]
fn legacy_names_disable_limits() {
    let file =
        "[rate_limit]\nby_ip = \"6/minute\"\nby_key = \"6/minute\"\n[concurrency]\ntotal = 6\n";
    let off = [
        ("RATE_LIMIT_ENABLED", "false"),
        ("CONCURRENCY_LIMIT_ENABLED", "false"),
    ];
    let config = with(file, &variables(&off).legacy_names()).unwrap();
    assert!(config.rate_limit.by_ip.is_empty() && config.rate_limit.by_key.is_empty());
    assert_eq!(config.concurrency.total, None);
    let on = off.map(|(name, _)| (name, "true"));
    let config = with(file, &variables(&on).legacy_names()).unwrap();
    assert_eq!(
        (config.rate_limit.by_ip.len(), config.warnings()),
        (1, &[][..])
    );
}

// FS03
#[test]
fn refuses_a_name_like_a_setting_and_suggests_the_nearest() {
    for (name, nearest) in [
        ("STOCKADE_RATE_LIMIT_BY_IP", "STOCKADE_RATE_LIMIT__BY_IP"),
        ("STOCKADE_RATE__LIMIT_BY_IP", "STOCKADE_RATE_LIMIT__BY_IP"),
        ("STOCKADE_ABUSE_TRESHOLD", "STOCKADE_ABUSE__THRESHOLD"),
        ("STOCKADE_ABUSE__TRESHOLD", "STOCKADE_ABUSE__THRESHOLD"),
        ("STOCKADE_KEYS_FILE", "STOCKADE_AUTH__KEYS_FILE"),
        (
            "STOCKADE_BODY_IMAGES_MAX_SIDE",
            "STOCKADE_BODY__IMAGES__MAX_SIDE",
        ),
    ] {
        let message = error("", &variables(&[(name, "5")]));
        assert!(message.starts_with(&format!("{name}: ")), "{message}");
        assert!(
            message.ends_with(&format!("did you mean {nearest}?")),
            "{message}"
        );
    }
    for name in [
        "STOCKADE_RATE_LIMIT__",
        "STOCKADE___",
        "STOCKADE_AUTH__TOKENS",
        "STOCKADE_FOO__BAR",
    ] {
        let message = error("", &variables(&[(name, "5")]));
        assert!(message.starts_with(&format!("{name}: ")), "{message}");
    }
}

// FS03
#[test]
fn warns_about_a_name_without_an_effect() {
    for name in ["STOCKADE_COLOUR", "RATE_LIMIT_STORAGE", "RATE_LIMIT_IPS"] {
        let found = warnings("", &variables(&[(name, "x")]).legacy_names());
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&format!("{name}: ")), "{found:?}");
        assert!(found[0].contains("no effect"), "{found:?}");
    }
    let near = warnings("", &variables(&[("RATE_LIMIT_IPS", "x")]).legacy_names());
    assert!(near[0].contains("did you mean RATE_LIMIT_IP?"), "{near:?}");
}

// FS03
#[test]
fn ignores_names_of_the_command_line_and_of_kubernetes() {
    for name in [
        "STOCKADE_KEYS",
        "STOCKADE_AUDIT_KEY",
        "STOCKADE_TOKEN_KEY",
        "STOCKADE_SERVICE_HOST",
        "STOCKADE_SERVICE_PORT",
        "STOCKADE_SERVICE_PORT_HTTP",
        "STOCKADE_PORT",
        "STOCKADE_PORT_8000_TCP",
        "STOCKADE_PORT_8000_TCP_ADDR",
        "STOCKADE_SERVER_SERVICE_HOST",
        "STOCKADE_SERVER_PORT_8000_TCP_PROTO",
        "PATH",
        "HOME",
    ] {
        let found = warnings(
            "",
            &variables(&[(name, "tcp://10.0.0.1:80")]).legacy_names(),
        );
        assert_eq!(found, [""; 0], "{name}");
    }
}

#[test]
fn a_string_that_looks_like_a_number_stays_a_string() {
    let environment = variables(&[
        ("STOCKADE_AUTH__REALM", "1234"),
        ("STOCKADE_ABUSE__ALLOW_KEYS", "1,true"),
        ("STOCKADE_BODY__MODELS", "[\"a,b\", \"c\"]"),
    ]);
    let config = with("", &environment).unwrap();
    assert_eq!(config.auth.realm, "1234");
    assert_eq!(config.abuse.allow_keys, ["1", "true"]);
    assert_eq!(config.body.models, ["a,b", "c"]);
    let message = error("", &variables(&[("STOCKADE_RATE_LIMIT__BY_IP", " ")]));
    assert!(
        message.starts_with("STOCKADE_RATE_LIMIT__BY_IP: is empty"),
        "{message}"
    );
}

// FS09
#[test]
fn errors_avoid_rust_terms_and_have_remedies() {
    for (text, expected) in [
        ("audit = 3\n", "is a number, but must be a section"),
        (
            "[rate_limit]\nby_ip = 600\n",
            "for example by_ip = \"600/minute\"",
        ),
        (
            "[store]\nredis = \"redis://h\"\n",
            "set store.on_failure to one of: deny, allow, local",
        ),
        ("[store]\non_failure = \"deny\"\n", "for example redis = "),
        (
            "[body]\nmax_mb = \"5\"\n",
            "body.max_mb: is a string, but must be a whole number",
        ),
        ("[body]\nmax_mb = 0\n", "body.max_mb: must be at least 1"),
        (
            "[body]\nmax_mb = 1.5\n",
            "body.max_mb: 1.5 is not a whole number",
        ),
        ("[abuse]\nenabled = \"yes\"\n", "must be true or false"),
        (
            "[abuse]\nanswer = \"forbiden\"\n",
            "did you mean forbidden?",
        ),
        (
            "[[routes]]\npath = \"/x\"\nmethods = \"PSOT\"\naccess = \"public\"\n",
            "POST",
        ),
        ("[routes]\npath = \"/x\"\n", "must be a list"),
        (
            "[auth.tokens]\nissuer = \"i\"\n",
            "missing field `audience`; for example",
        ),
        (
            "[client_ip]\ntrusted_proxies = \"10.0.0.0/33\"\n",
            "for example trusted_proxies = ",
        ),
    ] {
        let text = match text.starts_with('[') {
            true => format!("{AUTH}{text}"),
            false => format!("{text}{AUTH}"),
        };
        let message = Config::parse(&text, Format::Toml, &Environment::default());
        let message = message.unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
        for word in [
            "struct", "u16", "u32", "nonzero", "enum", "variant", "map", "sequence", "expected",
        ] {
            assert!(!message.contains(word), "{message}");
        }
    }
    let message = Config::parse("", Format::Toml, &Environment::default()).unwrap_err();
    assert_eq!(
        message.to_string(),
        "the configuration: missing field `auth`; add the section [auth] with keys_file = \"keys.yaml\""
    );
    assert_eq!(format!("{message:?}"), message.to_string());
}
