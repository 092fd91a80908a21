//! Tests against a local server that plays the Hub, with faults.

use std::{
    cell::RefCell,
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path as UrlPath, State},
    http::{HeaderMap, Response, StatusCode},
    routing::get,
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};

use super::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const CONFIG: &[u8] = b"{}\n";
const WEIGHTS: &str = "model.safetensors";

/// What the server does. By default it has no faults.
#[derive(Default)]
struct Behaviour {
    /// After how many bytes of the weights the next responses break.
    breaks: VecDeque<usize>,
    ignores_range: bool,
    ignores_if_range: bool,
    /// The entity tags of the next responses with weights; the last one remains.
    etags: VecDeque<&'static str>,
    /// The checksum of the weights in the listing, in place of the right one.
    announced: Option<String>,
    /// The size of the weights in the listing, in place of the right one.
    size: Option<usize>,
    linked_etag: Option<String>,
    /// Where to redirect requests for files.
    redirect: Option<String>,
    status: Option<StatusCode>,
}

/// A request for weights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Received {
    range: Option<String>,
    if_range: Option<String>,
    authorization: Option<String>,
}

struct FakeHub {
    weights: Vec<u8>,
    behaviour: Mutex<Behaviour>,
    received: Mutex<Vec<Received>>,
}

/// A server, and an empty cache.
struct Fixture {
    hub: Arc<FakeHub>,
    url: String,
    home: TempDir,
    _runtime: Runtime,
}

impl Fixture {
    fn new(behaviour: Behaviour) -> Self {
        let hub = Arc::new(FakeHub {
            weights: (0..10_000u32).map(|i| (i * i % 251) as u8).collect(),
            behaviour: Mutex::new(behaviour),
            received: Mutex::default(),
        });
        let routes = Router::new()
            .route("/api/models/{owner}/{name}/revision/main", get(revision))
            .route("/api/models/{owner}/{name}/tree/{commit}", get(tree))
            .route("/{owner}/{name}/resolve/{commit}/{file}", get(file))
            .with_state(hub.clone());
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self {
            hub,
            url,
            home: tempfile::tempdir().unwrap(),
            _runtime: runtime,
        }
    }

    fn fetch(&self) -> Result<PathBuf, LoadError> {
        self.fetch_with(&|_| {})
    }

    fn fetch_with(&self, report: &dyn Fn(LoadEvent)) -> Result<PathBuf, LoadError> {
        let hub = Hub {
            endpoint: self.url.clone(),
            token: Some("secret".to_owned()),
            cache: Cache::new(self.home.path().to_owned()),
            pause: Duration::ZERO,
        };
        hub.fetch("owner/name", report)
    }

    /// Fetches, and compares the weights.
    fn fetch_weights(&self) {
        let directory = self.fetch().unwrap();
        let weights = fs::read(directory.join(WEIGHTS)).unwrap();
        assert!(weights == self.hub.weights, "other bytes");
        assert_eq!(fs::read(directory.join("config.json")).unwrap(), CONFIG);
    }

    fn behaviour(&self) -> MutexGuard<'_, Behaviour> {
        self.hub.behaviour.lock().unwrap()
    }

    fn ranges(&self) -> Vec<Option<String>> {
        let received = self.hub.received.lock().unwrap();
        received
            .iter()
            .map(|request| request.range.clone())
            .collect()
    }

    fn blob(&self, extension: &str) -> PathBuf {
        let blobs = self.home.path().join("models--owner--name/blobs");
        blobs.join(self.hub.checksum()).with_extension(extension)
    }
}

impl FakeHub {
    fn checksum(&self) -> String {
        hex::encode(Sha256::digest(&self.weights))
    }
}

async fn revision() -> Json<Value> {
    Json(json!({ "sha": COMMIT }))
}

async fn tree(State(hub): State<Arc<FakeHub>>) -> Json<Value> {
    let behaviour = hub.behaviour.lock().unwrap();
    let checksum = behaviour.announced.clone();
    let checksum = checksum.unwrap_or_else(|| hub.checksum());
    let size = behaviour.size.unwrap_or(hub.weights.len());
    Json(json!([
        {
            "type": "file", "path": "config.json", "size": CONFIG.len(),
            // `git hash-object` of the file.
            "oid": "0967ef424bce6791893e9a57bb952f80fd536e93",
        },
        { "type": "directory", "path": "onnx", "oid": COMMIT },
        {
            "type": "file", "path": WEIGHTS, "size": 135, "oid": COMMIT,
            "lfs": { "oid": checksum, "size": size, "pointerSize": 135 },
        },
    ]))
}

async fn file(
    State(hub): State<Arc<FakeHub>>,
    UrlPath((.., name)): UrlPath<(String, String, String, String)>,
    headers: HeaderMap,
) -> Response<Body> {
    if name != WEIGHTS {
        return Response::new(Body::from(CONFIG));
    }
    let header = |name: &str| headers.get(name).map(|v| v.to_str().unwrap().to_owned());
    let received = Received {
        range: header("range"),
        if_range: header("if-range"),
        authorization: header("authorization"),
    };
    hub.received.lock().unwrap().push(received.clone());
    let mut behaviour = hub.behaviour.lock().unwrap();
    if let Some(status) = behaviour.status {
        return Response::builder()
            .status(status)
            .body(Body::empty())
            .unwrap();
    }
    if let Some(url) = &behaviour.redirect {
        let url = format!("{url}/owner/name/resolve/{COMMIT}/{WEIGHTS}");
        let response = Response::builder().status(302).header("location", url);
        return response.body(Body::empty()).unwrap();
    }
    let etag = match behaviour.etags.len() {
        0 => "\"v1\"",
        1 => behaviour.etags[0],
        _ => behaviour.etags.pop_front().unwrap(),
    };
    let is_same =
        behaviour.ignores_if_range || received.if_range.is_none_or(|if_range| if_range == etag);
    let start = received
        .range
        .filter(|_| is_same && !behaviour.ignores_range)
        .map(|range| {
            let start = range.strip_prefix("bytes=").unwrap();
            start.strip_suffix('-').unwrap().parse::<usize>().unwrap()
        });
    let body = Bytes::copy_from_slice(&hub.weights[start.unwrap_or(0)..]);
    let length = hub.weights.len();
    let mut response = Response::builder()
        .header("etag", etag)
        .header("content-length", body.len());
    if let Some(linked) = &behaviour.linked_etag {
        response = response.header("x-linked-etag", format!("\"{linked}\""));
    }
    if let Some(start) = start {
        let range = format!("bytes {start}-{}/{length}", length - 1);
        response = response.status(206).header("content-range", range);
    }
    let body = match behaviour.breaks.pop_front() {
        None => Body::from(body),
        Some(end) => {
            let sent = stream::iter([Ok(body.slice(..end))]);
            // After the sent bytes have been flushed.
            let broken = stream::once(async {
                tokio::task::yield_now().await;
                Err(io::Error::other("broken"))
            });
            Body::from_stream(sent.chain(broken))
        }
    };
    response.body(body).unwrap()
}

#[test]
fn downloads_into_the_cache_and_counts_bytes() {
    let fixture = Fixture::new(Behaviour::default());
    let events = RefCell::new((Vec::new(), Vec::new()));
    let directory = fixture
        .fetch_with(&|event| match event {
            LoadEvent::Stage(text) => events.borrow_mut().0.push(text),
            LoadEvent::Bytes(bytes) => events.borrow_mut().1.push(bytes),
            LoadEvent::Memory(_) => {}
        })
        .unwrap();
    let (stages, bytes) = events.into_inner();
    let expected = [
        "looking up owner/name on the Hub",
        "downloading model.safetensors (1 of 2)",
        "downloading config.json (2 of 2)",
    ];
    assert_eq!(stages, expected);
    assert!(bytes.is_sorted_by_key(|bytes| bytes.done), "{bytes:?}");
    let last = bytes.last().unwrap();
    assert_eq!((last.done, last.total), (10_003, 10_003));
    // Other tools find the same files.
    let cache = Cache::new(fixture.home.path().to_owned());
    let found = cache.repo(repo("owner/name")).get(WEIGHTS).unwrap();
    assert_eq!(found, directory.join(WEIGHTS));

    fixture.fetch_weights();
    assert_eq!(fixture.ranges(), [None], "downloaded again");
}

#[test]
fn resumes_after_breaks() {
    let fixture = Fixture::new(Behaviour {
        breaks: [4_000, 0, 1_000].into(),
        ..Behaviour::default()
    });
    fixture.fetch_weights();
    let ranges = fixture.ranges();
    assert_eq!(ranges.len(), 4, "{ranges:?}");
    // How much of it arrives before the break depends on the buffers.
    let resumed = ranges.iter().flatten().filter(|range| *range != "bytes=0-");
    assert!(resumed.count() > 0, "{ranges:?}");
}

#[test]
fn resumes_what_an_earlier_process_received() {
    let fixture = Fixture::new(Behaviour::default());
    fs::create_dir_all(fixture.blob("part").parent().unwrap()).unwrap();
    fs::write(fixture.blob("part"), &fixture.hub.weights[..7_000]).unwrap();
    fs::write(fixture.blob("part.etag"), "\"v1\"").unwrap();
    fixture.fetch_weights();
    let received = fixture.hub.received.lock().unwrap();
    assert_eq!(received[0].range.as_deref(), Some("bytes=7000-"));
    assert_eq!(received[0].if_range.as_deref(), Some("\"v1\""));
    assert_eq!(received.len(), 1);
    assert!(!fixture.blob("part").exists() && !fixture.blob("part.etag").exists());
}

#[test]
fn a_changed_file_starts_again() {
    for ignores_if_range in [false, true] {
        let fixture = Fixture::new(Behaviour {
            etags: ["\"v2\""].into(),
            ignores_if_range,
            ..Behaviour::default()
        });
        fs::create_dir_all(fixture.blob("part").parent().unwrap()).unwrap();
        // Bytes of the old file.
        fs::write(fixture.blob("part"), [0; 7_000]).unwrap();
        fs::write(fixture.blob("part.etag"), "\"v1\"").unwrap();
        fixture.fetch_weights();
    }
}

#[test]
fn a_server_may_ignore_ranges() {
    let fixture = Fixture::new(Behaviour {
        ignores_range: true,
        ..Behaviour::default()
    });
    fs::create_dir_all(fixture.blob("part").parent().unwrap()).unwrap();
    fs::write(fixture.blob("part"), &fixture.hub.weights[..7_000]).unwrap();
    fixture.fetch_weights();
    assert_eq!(fixture.ranges().len(), 1);
}

#[test]
fn names_the_file_and_both_checksums() {
    let announced = "f".repeat(64);
    let fixture = Fixture::new(Behaviour {
        announced: Some(announced.clone()),
        ..Behaviour::default()
    });
    let error = fixture.fetch().unwrap_err();
    for part in [WEIGHTS, &announced, &fixture.hub.checksum()] {
        assert!(error.contains(part), "{error}");
    }
    // Nothing remains that a later start would use.
    let blobs = fixture.blob("part");
    let blobs = fs::read_dir(blobs.parent().unwrap()).unwrap();
    let names: Vec<_> = blobs.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        names
            .iter()
            .all(|name| name.to_string_lossy().ends_with(".lock")),
        "{names:?}"
    );
}

#[test]
fn refuses_a_file_that_is_too_long() {
    let fixture = Fixture::new(Behaviour {
        size: Some(5_000),
        ..Behaviour::default()
    });
    let error = fixture.fetch().unwrap_err();
    assert!(error.contains("longer than the 5000 bytes"), "{error}");
}

#[test]
fn refuses_two_checksums_of_a_file() {
    let fixture = Fixture::new(Behaviour {
        linked_etag: Some("e".repeat(64)),
        ..Behaviour::default()
    });
    let error = fixture.fetch().unwrap_err();
    assert!(error.contains("announces two checksums"), "{error}");
}

#[test]
fn gives_up_and_keeps_what_it_has() {
    let fixture = Fixture::new(Behaviour {
        breaks: [4_000, 0, 0, 0, 0, 0, 0].into(),
        ..Behaviour::default()
    });
    let error = fixture.fetch().unwrap_err();
    assert!(
        error.contains("the connection broke during model.safetensors"),
        "{error}"
    );
    fixture.behaviour().breaks.clear();
    fixture.fetch_weights();
}

#[test]
fn uses_the_cache_without_the_hub() {
    let fixture = Fixture::new(Behaviour::default());
    fixture.fetch_weights();
    let offline = Fixture {
        // No service listens on the discard port of this machine.
        url: "http://127.0.0.1:9".to_owned(),
        ..fixture
    };
    offline.fetch_weights();
}

#[test]
fn reports_a_missing_network_and_cache() {
    let mut fixture = Fixture::new(Behaviour::default());
    fixture.url = "http://127.0.0.1:9".to_owned();
    let error = fixture.fetch().unwrap_err();
    assert!(error.starts_with("cannot download owner/name"), "{error}");
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn names_the_licence_and_the_token() {
    let fixture = Fixture::new(Behaviour {
        status: Some(StatusCode::UNAUTHORIZED),
        ..Behaviour::default()
    });
    let error = fixture.fetch().unwrap_err();
    assert!(error.contains("HF_TOKEN"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn only_the_hub_receives_the_token() {
    let network = Fixture::new(Behaviour::default());
    let fixture = Fixture::new(Behaviour {
        redirect: Some(network.url.clone()),
        ..Behaviour::default()
    });
    fixture.fetch_weights();
    let authorization = |fixture: &Fixture| {
        let received = fixture.hub.received.lock().unwrap();
        received[0].authorization.clone()
    };
    assert_eq!(authorization(&fixture).as_deref(), Some("Bearer secret"));
    assert_eq!(authorization(&network), None);
}

#[test]
fn rejects_ids_that_leave_the_cache() {
    assert!(is_id("Hcompany/Holo1.5-7B"));
    for id in [
        "", "a", "../b", "a/..", "a/b/c", "a/b?c", "/b", "a/", "a/b c",
    ] {
        assert!(!is_id(id), "{id}");
    }
}
