//! Tests the audit events of keys that other processes create, rotate and revoke.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{collections::BTreeMap, convert::Infallible, fs, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use stockade::{Config, Environment, Fence, FenceEvent, Format};
use stockade_core::{client::PeerAddr, clock::Timestamp};
use stockade_key_auth::{KeyChange, KeyDigest, KeyFileFormat, KeyRecord};
use stockade_testkit::poll::until_async;
use tempfile::TempDir;
use tower::{Layer, ServiceExt};

/// The timeout for a change to be detected.
const PATIENCE: Duration = Duration::from_secs(20);

/// A fence that follows its keys, with its audit log.
struct Site {
    folder: TempDir,
    fence: Fence,
}

impl Site {
    /// A fence with the keys of `keys.yaml` in this folder.
    async fn new(folder: TempDir) -> Self {
        Self::with(folder, "keys_file = \"keys.yaml\"").await
    }

    async fn with(folder: TempDir, keys: &str) -> Self {
        Self::with_listener(folder, keys, |_| {}).await
    }

    async fn with_listener(
        folder: TempDir,
        keys: &str,
        listener: impl Fn(&FenceEvent) + Send + Sync + 'static,
    ) -> Self {
        let config = format!(
            "[auth]\n{keys}\n[audit]\nfile = \"app.log\"\nsecurity_file = \"audit.log\"\n\
             on_overflow = \"fail_closed\"\n[[routes]]\npath = \"/\"\nmethods = \"GET\"\n\
             access = \"chat:write\"\n"
        );
        let mut config = Config::parse(&config, Format::Toml, &Environment::default()).unwrap();
        config.resolve_paths(folder.path());
        let fence = Fence::builder(&config).on_event(listener).build().await;
        let fence = fence.unwrap();
        Self { folder, fence }
    }

    /// Returns the status of a request with this key.
    async fn ask(&self, key: &str) -> u16 {
        let service = self
            .fence
            .layer()
            .layer(tower::service_fn(|_: Request<_>| async {
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            }));
        let peer: std::net::SocketAddr = "203.0.113.7:50000".parse().unwrap();
        let request = Request::get("/")
            .header("authorization", format!("Bearer {key}"))
            .extension(PeerAddr::from(peer))
            .body(Full::<Bytes>::default())
            .unwrap();
        service.oneshot(request).await.unwrap().status().as_u16()
    }

    /// Returns the key events so far: event, subject and detail.
    fn events(&self) -> Vec<[Value; 3]> {
        self.fence.audit().flush(PATIENCE).unwrap();
        let log = fs::read_to_string(self.folder.path().join("audit.log")).unwrap();
        let lines = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .filter(|line| line["event"].as_str().is_some_and(|e| e.starts_with("key")))
            .map(|line| ["event", "subject", "detail"].map(|field| line[field].clone()))
            .collect()
    }

    /// Waits for this number of events.
    async fn wait_for_events(&self, count: usize) -> Vec<[Value; 3]> {
        until_async("the events", async || self.events().len() >= count).await;
        self.events()
    }

    /// Waits until a request with this key has this status.
    async fn answers(&self, key: &str, status: u16) {
        until_async("the status", async || self.ask(key).await == status).await;
    }
}

fn event(event: &str, subject: &str) -> [Value; 3] {
    [json!(event), json!(subject), Value::Null]
}

fn event_with(event: &str, subject: &str, detail: &str) -> [Value; 3] {
    [json!(event), json!(subject), json!(detail)]
}

/// Creates a key whose text is its id followed by `text`.
fn key(id: &str, text: &str) -> KeyRecord {
    let hash = KeyDigest::of(format!("{id}{text}").as_bytes());
    KeyRecord::new(id.parse().unwrap(), hash)
}

fn changed(record: KeyRecord, change: KeyChange) -> KeyRecord {
    change.apply(record).unwrap()
}

fn revoke() -> KeyChange {
    let at = Timestamp::from_secs(1_700_000_000);
    KeyChange::Revoke { at }
}

fn rotate() -> KeyChange {
    KeyChange::Rotate {
        hash: KeyDigest::of(b"another text").into(),
        grace: Duration::from_secs(60),
        at: Timestamp::from_secs(1_700_000_000),
    }
}

/// Replaces the key file atomically, as a store does.
fn write(folder: &TempDir, records: impl IntoIterator<Item = KeyRecord>) {
    let text = KeyFileFormat::Yaml.write(&Vec::from_iter(records));
    let new = folder.path().join("keys.new");
    fs::write(&new, text).unwrap();
    fs::rename(new, folder.path().join("keys.yaml")).unwrap();
}

fn folder(records: impl IntoIterator<Item = KeyRecord>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, records);
    folder
}

// A08
#[tokio::test]
async fn a_panicking_listener_does_not_prevent_revocations_or_records() {
    let folder = folder(["first", "second"].map(|id| key(id, "-text")));
    let keys = "keys_file = \"keys.yaml\"";
    let site = Site::with_listener(folder, keys, |event| {
        assert!(
            !matches!(event, FenceEvent::KeyChanged { .. }),
            "a listener's bug"
        );
    })
    .await;
    let revoked = |id| changed(key(id, "-text"), revoke());
    write(&site.folder, [revoked("first"), key("second", "-text")]);
    site.answers("first-text", 401).await;
    write(&site.folder, [revoked("first"), revoked("second")]);
    site.answers("second-text", 401).await;
    let expected = ["first", "second"].map(|id| event("key_revoked", id));
    assert_eq!(site.wait_for_events(expected.len()).await, expected);
}

#[tokio::test]
async fn each_key_that_is_created_rotated_or_revoked_is_one_event() {
    let ids = ["expired", "gone", "revoked", "rotated", "same"];
    let site = Site::new(folder(ids.map(|id| key(id, "-text")))).await;
    write(
        &site.folder,
        [
            key("expired", "-text").expires(Timestamp::from_secs(1_700_000_000)),
            key("new", "-text"),
            changed(key("revoked", "-text"), revoke()),
            changed(key("rotated", "-text"), rotate()),
            key("same", "-text"),
        ],
    );
    let expired = event_with("key_revoked", "expired", "its expiry was set to the past");
    let expected = [
        expired,
        event("key_created", "new"),
        event("key_revoked", "revoked"),
        event("key_rotated", "rotated"),
        event_with("key_revoked", "gone", "its record was removed"),
    ];
    assert_eq!(site.wait_for_events(expected.len()).await, expected);

    write(&site.folder, [key("revoked", "-text")]);
    let events = site.wait_for_events(expected.len() + 4).await;
    let again = event_with("key_created", "revoked", "it was refused previously");
    assert_eq!(events[expected.len()], again);

    let log = fs::read_to_string(site.folder.path().join("audit.log")).unwrap();
    for secret in ["-text", "another text", "sha256"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn initial_and_unchanged_keys_cause_no_event() {
    let team = || key("team", "-text");
    let site = Site::new(folder([team()])).await;
    assert_eq!(site.ask("team-text").await, 403);

    // Only the response shows that the file was read again.
    write(&site.folder, [team().scopes("chat:write".parse().unwrap())]);
    site.answers("team-text", 200).await;
    write(&site.folder, [team()]);
    site.answers("team-text", 403).await;
    assert_eq!(site.events(), Vec::<[Value; 3]>::new());

    write(&site.folder, [team(), key("last", "-text")]);
    assert_eq!(
        site.wait_for_events(1).await,
        [event("key_created", "last")]
    );
}

#[tokio::test]
async fn reports_a_hundred_keys_of_a_change_and_counts_the_rest() {
    let keys = |text: &'static str| (0..150).map(move |n| key(&format!("key-{n:03}"), text));
    let site = Site::new(folder([])).await;
    write(&site.folder, keys("-text"));
    let events = site.wait_for_events(101).await;
    assert_eq!(events.len(), 101);
    assert_eq!(events[0], event("key_created", "key-000"));
    assert_eq!(events[99], event("key_created", "key-099"));
    let rest = |event: &str, detail: &str| [json!(event), Value::Null, json!(detail)];
    let created = rest("key_created", "more keys in the same change: 50");
    assert_eq!(events[100], created);

    // Each kind has a count.
    let newer = keys("-other").take(120).chain([key("new", "-text")]);
    write(&site.folder, newer);
    let events = site.wait_for_events(101 + 103).await.split_off(101);
    let mut kinds = BTreeMap::new();
    for [event, ..] in &events {
        *kinds.entry(event.as_str().unwrap()).or_insert(0) += 1;
    }
    let expected = [("key_created", 1), ("key_revoked", 1), ("key_rotated", 101)];
    assert_eq!(kinds, BTreeMap::from(expected));
    assert_eq!(
        events[100..],
        [
            rest("key_created", "more keys in the same change: 1"),
            rest("key_rotated", "more keys in the same change: 20"),
            rest(
                "key_revoked",
                "more keys in the same change: 30; its record was removed"
            ),
        ]
    );
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn reports_changes_of_keys_in_a_database() {
    use stockade_key_auth::KeyStore;
    use stockade_sqlx::SqlKeyStore;

    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/keys.db", folder.path().display());
    let store = SqlKeyStore::connect(&url).await.unwrap();
    store.create(key("first", "-text")).await.unwrap();
    let site = Site::with(folder, &format!("keys_database = \"{url}\"")).await;

    store.create(key("second", "-text")).await.unwrap();
    site.wait_for_events(1).await;
    let change = |id: &str, change| store.change(id.parse().unwrap(), change);
    change("first", rotate()).await.unwrap();
    site.wait_for_events(2).await;
    change("second", revoke()).await.unwrap();
    assert_eq!(
        site.wait_for_events(3).await,
        [
            event("key_created", "second"),
            event("key_rotated", "first"),
            event("key_revoked", "second"),
        ]
    );
}
