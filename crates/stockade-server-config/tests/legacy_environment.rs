//! A server configured by unprefixed environment variables.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;

use stockade::{Environment, Fence, OnOverflow};
use stockade_server_config::{LogLevel, ServerFile};

const ENV: &str = "\
RATE_LIMIT_IP=60/minute
RATE_LIMIT_KEY=120/minute
BURST_IP=10
BURST_KEY=20
API_KEYS_FILE=ops/api_keys.yaml
MAX_BODY_MB=10.0
MAX_IMAGE_SIDE=2048
MAX_TOKENS_LIMIT=2048
CORS_ALLOW_ORIGINS=https://yourdomain.com,https://app.yourdomain.com
ALLOW_DOCS=false
DENYLIST_FILE=ops/denylist.txt
ABUSE_THRESHOLD_ERRORS=5
ABUSE_WINDOW_SECONDS=30
LOG_LEVEL=INFO
AUDIT_LOG_FILE=logs/audit.log
TRUST_PROXY_HEADERS=true
TRUSTED_PROXY_COUNT=1
";

fn environment() -> Environment {
    let lines = ENV.lines().map(|line| line.split_once('=').unwrap());
    Environment::new(lines).legacy_names()
}

// FH14
#[tokio::test]
async fn configures_a_fence() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("ops")).unwrap();
    fs::write(folder.path().join("ops/api_keys.yaml"), "keys: []\n").unwrap();
    // The variables replace the sections `[auth]` and `[audit]`.
    let path = folder.path().join("stockade.toml");
    fs::write(&path, "[model]\nsource = \"Hcompany/Holo1.5-7B\"\n").unwrap();

    let file = ServerFile::read(&path, &environment()).unwrap();
    assert_eq!(file.fence.body.max_mb.get(), 10);
    assert_eq!(file.server.max_body_mb.get(), 10);
    assert_eq!(file.models[0].max_tokens_limit.get(), 2_048);
    assert_eq!(file.fence.body.max_tokens.get(), 2_048);
    assert_eq!(file.log.level, LogLevel::Info);
    assert!(file.fence.abuse.count_invalid_images);
    let audit = file.fence.audit.as_ref().unwrap();
    assert_eq!(audit.on_overflow, OnOverflow::Drop);
    assert!(file.validate().is_empty());

    let fence = Fence::from_config(&file.fence).await.unwrap();
    let description = fence.to_string();
    assert!(
        description.contains("drops and counts records"),
        "{description}"
    );

    // Every variable is reported as active or as insecure.
    let active: Vec<_> = file
        .fence
        .legacy_names()
        .iter()
        .map(|(name, _)| *name)
        .collect();
    for line in ENV.lines() {
        let (name, _) = line.split_once('=').unwrap();
        let is_reported = active.contains(&name) || name == "ALLOW_DOCS";
        assert!(is_reported, "{name}: {active:?}");
    }
    let origins = file
        .fence
        .warnings()
        .iter()
        .map(|warning| warning.origin().to_string());
    assert_eq!(
        origins.collect::<Vec<_>>(),
        [
            "CORS_ALLOW_ORIGINS",
            "TRUST_PROXY_HEADERS and TRUSTED_PROXY_COUNT"
        ]
    );
}

// FH14
#[test]
fn refuses_a_fractional_size() {
    let environment = Environment::new([("MAX_BODY_MB", "10.5")]).legacy_names();
    let text = "[auth]\nkeys_file = \"k\"\n";
    let error = ServerFile::parse(text, stockade::Format::Toml, &environment).unwrap_err();
    assert!(error.to_string().starts_with("MAX_BODY_MB: "), "{error}");
}

// FS10
#[test]
fn reports_settings_without_effect() {
    let text = "[auth]\nkeys_file = \"k\"\n[docs]\nallowed = true\n";
    let none = Environment::default();
    let file = ServerFile::parse(text, stockade::Format::Toml, &none).unwrap();
    assert!(file.docs.allowed);
    // A library serves no description of an API.
    let error = stockade::Config::parse(text, stockade::Format::Toml, &none).unwrap_err();
    let error = error.to_string();
    assert!(
        error.starts_with("line 3: unknown field `docs`; remove it"),
        "{error}"
    );

    let text = "[auth]\nkeys_file = \"k\"\n";
    for (value, warnings) in [("true", 1), ("false", 0)] {
        let environment = Environment::new([("ALLOW_DOCS", value)]).legacy_names();
        let file = ServerFile::parse(text, stockade::Format::Toml, &environment).unwrap();
        let found = file.fence.warnings();
        assert_eq!(found.len(), warnings, "{value}");
        for warning in found {
            let text = warning.to_string();
            assert!(text.contains("[docs] allowed"), "{text}");
        }
    }
}

#[test]
fn a_variable_for_the_only_model_names_itself_if_there_are_several() {
    let models = "[auth]\nkeys_file = \"k\"\n[[models]]\nsource = \"a/b\"\n";
    let error = |text: &str, name| {
        let environment = Environment::new([(name, "100")]).legacy_names();
        let file = ServerFile::parse(text, stockade::Format::Toml, &environment);
        file.unwrap_err().to_string()
    };
    for name in ["MAX_TOKENS_LIMIT", "STOCKADE_MODEL__MAX_TOKENS_LIMIT"] {
        assert_eq!(
            error(models, name),
            format!(
                "{name}: model.max_tokens_limit: the file has [[models]]; unset {name}, and set \
                 max_tokens_limit in the entries of [[models]]"
            )
        );
    }
    // The file has both forms.
    let both = format!("{models}[model]\nsource = \"c/d\"\n");
    let message = error(&both, "MAX_TOKENS_LIMIT");
    assert!(message.contains("[model] and [[models]]"), "{message}");
}

// FS07
#[test]
fn yaml_and_toml_are_equivalent() {
    let toml = "[server]\nlisten = \"localhost:9\"\n[model]\nsource = \"a/b\"\nmax_queued = 0\n\
                [auth]\nkeys_file = \"k\"\n[log]\nlevel = \"debug\"\n";
    let yaml = "server: {listen: 'localhost:9'}\nmodel:\n  source: a/b\n  max_queued: 0\n\
                auth:\n  keys_file: k\nlog: {level: debug}\n";
    let none = Environment::default();
    let toml = ServerFile::parse(toml, stockade::Format::Toml, &none).unwrap();
    let yaml = ServerFile::parse(yaml, stockade::Format::Yaml, &none).unwrap();
    let shown = |file: &ServerFile| format!("{:?}{:?}{:?}", file.server, file.models, file.log);
    assert_eq!(shown(&toml), shown(&yaml));
}

// FP07
#[test]
fn the_readme_of_the_server_lists_each_unprefixed_name() {
    let page = include_str!("../../../reference-server/README.md");
    for (name, _) in stockade::LEGACY_NAMES {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}
