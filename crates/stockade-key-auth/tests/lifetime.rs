//! The lifetime of the file watch, and behaviour while the file is unreadable.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{convert::Infallible, fs, path::Path, process::Command};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use stockade_core::guard::{Guard, GuardLayer};
use stockade_key_auth::{FileKeyStore, GeneratedKey, KeyAuth, KeyRecord, KeyStore, to_yaml};
use stockade_testkit::poll::{until, until_async};
use tower::{Layer, ServiceExt, service_fn};

/// Replaces the key file atomically, as a store does.
fn write(path: &Path, records: &[KeyRecord]) {
    let entries: String = records.iter().map(to_yaml).collect();
    let text = match records {
        [] => "keys: []\n".to_owned(),
        _ => format!("keys:\n{entries}"),
    };
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

fn generated(id: &str) -> (GeneratedKey, KeyRecord) {
    let key = GeneratedKey::new("sk", id.parse().unwrap()).unwrap();
    let record = KeyRecord::new(key.id().clone(), key.digest());
    (key, record)
}

/// Drops the store and returns the layer alone, as programs do.
fn layer(path: &Path) -> GuardLayer<KeyAuth> {
    let keys = FileKeyStore::open(path).unwrap();
    KeyAuth::new(&keys).into_layer()
}

async fn status(
    service: &(
         impl tower::Service<Request<()>, Response = Response<impl Sized>, Error = Infallible> + Clone
     ),
    key: &GeneratedKey,
) -> StatusCode {
    let request = Request::builder()
        .header("x-api-key", key.expose())
        .body(())
        .unwrap();
    service.clone().oneshot(request).await.unwrap().status()
}

// FP01, FP02
#[tokio::test]
async fn service_watches_the_file_after_store_and_layer_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.yaml");
    let (revoked, record) = generated("revoked");
    let (kept, other) = generated("kept");
    write(&path, &[record, other.clone()]);

    let service = layer(&path).layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    assert_eq!(status(&service, &revoked).await, 200);

    write(&path, &[other]);
    until_async("the key is refused", async || {
        status(&service, &revoked).await == 401
    })
    .await;
    assert_eq!(status(&service, &kept).await, 200);
}

// FP01
#[test]
fn publisher_is_dropped_with_the_last_guard() {
    struct Publisher(std::sync::mpsc::Sender<&'static str>);

    impl Drop for Publisher {
        fn drop(&mut self) {
            self.0.send("dropped").unwrap();
        }
    }

    let (sender, dropped) = std::sync::mpsc::channel();
    let keys = stockade_key_auth::LiveKeys::default();
    let first = keys.clone().keep_alive(Publisher(sender.clone()));
    let both = first.clone().keep_alive(Publisher(sender));
    drop((keys, first));
    let guard = KeyAuth::with_keys(both);
    let layer = guard.into_layer();
    assert!(dropped.try_recv().is_err());
    drop(layer);
    assert_eq!(dropped.try_iter().count(), 2);
}

const CHILD: &str = "STOCKADE_TEST_OUT_OF_DESCRIPTORS";

// FA04
#[test]
fn revocation_takes_effect_after_descriptor_exhaustion() {
    if std::env::var_os(CHILD).is_some() {
        return out_of_descriptors();
    }
    // In a child process, since the limit applies to the whole process.
    let this = std::env::current_exe().unwrap();
    let name = "revocation_takes_effect_after_descriptor_exhaustion";
    let child = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$@\"", "sh"])
        .arg(this)
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && output.contains("1 passed"),
        "{output}{}",
        String::from_utf8_lossy(&child.stderr)
    );
}

fn out_of_descriptors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.yaml");
    let next = folder.path().join("next.yaml");
    let (key, record) = generated("a");
    write(&path, &[record]);
    write(&next, &[]);
    let store = FileKeyStore::open(&path).unwrap();
    let is_valid = || !store.keys().current().is_empty();

    let mut descriptors = Vec::new();
    while let Ok(descriptor) = fs::File::open("/dev/null") {
        descriptors.push(descriptor);
    }
    // A rename needs no descriptor.
    fs::rename(&next, &path).unwrap();
    until("the failure is visible", || {
        store.health().status().is_failing()
    });
    assert!(is_valid(), "the last valid keys stay active");

    // The file does not change again.
    drop(descriptors);
    until("the key is refused", || !is_valid());
    until("the source is healthy", || {
        !store.health().status().is_failing()
    });
    assert!(store.health().status().failures > 0);
    drop(key);
}
