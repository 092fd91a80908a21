//! Tests a layer or service whose fence was dropped.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{convert::Infallible, fs, path::Path, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use metrics_exporter_prometheus::PrometheusBuilder;
use stockade::{Config, Environment, Fence, Format};
use stockade_core::client::PeerAddr;
use stockade_key_auth::{GeneratedKey, KeyRecord, to_yaml};
use stockade_testkit::poll::until_async;
use tempfile::TempDir;
use tower::{Layer, Service, ServiceExt};

const ROUTES: &str = "
[audit]
file = 'app.log'
on_overflow = 'drop'
[[routes]]
path = '/'
methods = 'GET'
access = 'chat:write'
";

type Body = Full<Bytes>;

fn read(folder: &TempDir, text: &str) -> Config {
    let mut config = Config::parse(
        &format!("{text}{ROUTES}"),
        Format::Toml,
        &Environment::default(),
    )
    .unwrap();
    config.resolve_paths(folder.path());
    config
}

/// Builds a service as the README does; the fence is dropped on return.
async fn fenced(
    config: Config,
) -> impl Service<Request<Body>, Response = Response<impl Sized>, Error = Infallible> + Clone {
    let fence = Fence::builder(&config).build().await.unwrap();
    let inner = tower::service_fn(|_: Request<_>| async {
        Ok::<_, Infallible>(Response::new(Body::default()))
    });
    fence.layer().layer(inner)
}

async fn status(
    service: &(impl Service<Request<Body>, Response = Response<impl Sized>, Error = Infallible> + Clone),
    key: Option<&GeneratedKey>,
) -> u16 {
    let peer: std::net::SocketAddr = "203.0.113.7:50000".parse().unwrap();
    let mut request = Request::get("/").extension(PeerAddr::from(peer));
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {}", key.expose()));
    }
    let request = request.body(Body::default()).unwrap();
    service
        .clone()
        .oneshot(request)
        .await
        .unwrap()
        .status()
        .as_u16()
}

fn generated() -> (GeneratedKey, KeyRecord) {
    let key = GeneratedKey::new("sk", "team".parse().unwrap()).unwrap();
    let record = KeyRecord::new(key.id().clone(), key.digest());
    (key, record.scopes("chat:write".parse().unwrap()))
}

fn write(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

// FP01
#[tokio::test]
async fn a_key_revoked_in_the_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.yaml");
    let (key, record) = generated();
    write(&file, &format!("keys:\n{}", to_yaml(&record)));
    let service = fenced(read(&folder, "[auth]\nkeys_file = 'keys.yaml'\n")).await;
    assert_eq!(status(&service, Some(&key)).await, 200);

    write(&file, "keys: []\n");
    until_async("the key is refused", async || {
        status(&service, Some(&key)).await == 401
    })
    .await;
}

// FP01
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_key_revoked_in_the_database_is_refused() {
    use stockade_core::clock::Timestamp;
    use stockade_key_auth::{KeyChange, KeyStore};
    use stockade_sqlx::SqlKeyStore;

    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/keys.db", folder.path().display());
    let elsewhere = SqlKeyStore::connect_static(&url).await.unwrap();
    let (key, record) = generated();
    elsewhere.create(record).await.unwrap();
    let service = fenced(read(&folder, &format!("[auth]\nkeys_database = '{url}'\n"))).await;
    assert_eq!(status(&service, Some(&key)).await, 200);

    let at = Timestamp::from_secs(1);
    let revoked = elsewhere.change(key.id().clone(), KeyChange::Revoke { at });
    revoked.await.unwrap();
    until_async("the key is refused", async || {
        status(&service, Some(&key)).await == 401
    })
    .await;
}

// FP01
#[tokio::test]
async fn the_deny_list_is_followed_and_records_are_written() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("keys.yaml"), "keys: []\n");
    let denied = folder.path().join("denied.txt");
    fs::write(&denied, "").unwrap();
    let config = "[auth]\nkeys_file = 'keys.yaml'\n[abuse]\ndeny_list = 'denied.txt'\n";
    let service = fenced(read(&folder, config)).await;
    assert_eq!(status(&service, None).await, 401);
    until_async("the request is recorded", async || {
        fs::read_to_string(folder.path().join("app.log")).is_ok_and(|log| !log.is_empty())
    })
    .await;

    fs::write(&denied, "203.0.113.7  # by hand\n").unwrap();
    until_async("the client is banned", async || {
        status(&service, None).await == 403
    })
    .await;
}

// FA04
#[tokio::test]
async fn a_source_that_cannot_be_read_is_in_the_status_and_in_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.yaml");
    let (_, record) = generated();
    write(&file, &format!("keys:\n{}", to_yaml(&record)));
    let config = read(&folder, "[auth]\nkeys_file = 'keys.yaml'\n");
    let fence = Fence::builder(&config).build().await.unwrap();
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = || {
        metrics::with_local_recorder(&recorder, || fence.record_gauges());
        recorder.handle().render()
    };
    let has = |metrics: &str, name: &str, value: &str| {
        metrics.lines().any(|line| {
            line.starts_with(&format!("{name}{{source=\"auth.keys_file "))
                && line.ends_with(&format!("keys.yaml\"}} {value}"))
        })
    };
    let keys = || {
        let sources = fence.sources();
        let keys = sources
            .iter()
            .find(|source| source.name.starts_with("auth.keys_file "));
        keys.expect("the key file is a source").clone()
    };
    assert!(!keys().is_failing());
    let healthy = metrics();
    assert!(has(&healthy, "stockade_source_failing", "0"), "{healthy}");
    assert!(
        has(&healthy, "stockade_source_failures_total", "0"),
        "{healthy}"
    );

    write(&file, "keys: [\n");
    until_async("the failure is seen", async || keys().is_failing()).await;
    let error = keys().last_error.unwrap();
    assert!(error.contains("keys.yaml"), "{error}");
    assert!(has(&metrics(), "stockade_source_failing", "1"));
    until_async("the last good value ages", async || {
        keys().age > Duration::from_secs(1)
    })
    .await;
    let failing = metrics();
    assert!(
        failing.contains("stockade_source_age_seconds{source="),
        "{failing}"
    );
    assert!(
        !has(&failing, "stockade_source_failures_total", "0"),
        "{failing}"
    );

    write(&file, "keys: []\n");
    until_async("it is read again", async || !keys().is_failing()).await;
    assert!(has(&metrics(), "stockade_source_failing", "0"));
}
