//! Tests that every watched source is in `Fence::sources` and in the metrics.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, path::Path};

use metrics_exporter_prometheus::PrometheusBuilder;
use stockade::{Config, Environment, Fence, Format};
use stockade_testkit::poll::until_async;
use stockade_watch::SourceStatus;

const SECRET: &str = "a secret of at least thirty-two bytes";
const CONFIG: &str = "
    [auth]
    keys_file = 'keys.yaml'
    [auth.tokens]
    issuer = 'id'
    audience = 'api'
    algorithm = 'HS256'
    key_file = 'secret'
    revoked_file = 'revoked.txt'
    [abuse]
    deny_list = 'deny.txt'
    [[routes]]
    path = '/'
    methods = 'GET'
    access = 'public'
";

/// The setting and the file of each source, with its content before and after.
const SOURCES: [(&str, &str, &str); 4] = [
    ("auth.keys_file", "keys.yaml", "keys: []\n"),
    ("abuse.deny_list", "deny.txt", "192.0.2.1\n"),
    ("auth.tokens.key_file", "secret", SECRET),
    ("auth.tokens.revoked_file", "revoked.txt", "# jti exp\n"),
];

async fn fence(folder: &Path, config: &str) -> Fence {
    let mut config = Config::parse(config, Format::Toml, &Environment::default()).unwrap();
    config.resolve_paths(folder);
    Fence::from_config(&config).await.unwrap()
}

fn settings(fence: &Fence) -> Vec<String> {
    let setting = |source: SourceStatus| source.name.split(' ').next().unwrap().to_owned();
    fence.sources().into_iter().map(setting).collect()
}

async fn until(fence: &Fence, setting: &str, is_so: impl Fn(&SourceStatus) -> bool) {
    let of_setting = |source: &SourceStatus| source.name.starts_with(&format!("{setting} "));
    until_async(setting, async || {
        is_so(&fence.sources().into_iter().find(of_setting).unwrap())
    })
    .await;
}

// FA04
#[tokio::test]
async fn each_source_is_reported_while_its_file_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    for (_, file, text) in SOURCES {
        fs::write(folder.path().join(file), text).unwrap();
    }
    let fence = fence(folder.path(), CONFIG).await;
    assert_eq!(settings(&fence), SOURCES.map(|(setting, ..)| setting));
    assert!(!fence.sources().iter().any(SourceStatus::is_failing));

    for (setting, file, text) in SOURCES {
        fs::remove_file(folder.path().join(file)).unwrap();
        until(&fence, setting, SourceStatus::is_failing).await;
        fs::write(folder.path().join(file), text).unwrap();
        until(&fence, setting, |source| !source.is_failing()).await;
        until(&fence, setting, |source| source.failures > 0).await;
    }

    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || fence.record_gauges());
    let metrics = recorder.handle().render();
    for (setting, ..) in SOURCES {
        for metric in ["age_seconds", "failing", "failures_total"] {
            let series = format!("stockade_source_{metric}{{source=\"{setting} ");
            assert!(metrics.contains(&series), "{series} is not in {metrics}");
        }
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_key_database_is_a_source() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("keys.db").display());
    let config = format!("[auth]\nkeys_database = {url:?}\n{}", {
        let (_, rest) = CONFIG.split_once("[[routes]]").unwrap();
        format!("[[routes]]{rest}")
    });
    let fence = fence(folder.path(), &config).await;
    assert_eq!(settings(&fence), ["auth.keys_database"]);
    assert!(!fence.sources()[0].is_failing());
}
