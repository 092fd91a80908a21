//! A server whose streams send what a test wants.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
    response::Response,
    routing::any,
};
use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;
use metrics::LocalRecorderGuard;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::Value;
use stockade::{Config, Environment, Fence, FinalEvent, Format, core::context::RequestContext};
use stockade_key_auth::{GeneratedKey, KeyRecord, to_yaml};
use stockade_testkit::poll::until_async;
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
};
use tower::ServiceExt;

const CONFIG: &str = "
[auth]
keys_file = 'keys.yaml'
[auth.tokens]
issuer = 'id'
audience = 'api'
algorithm = 'HS256'
key_file = 'secret'
revoked_file = 'revoked.txt'
[audit]
file = 'audit.log'
on_overflow = 'block'
[[routes]]
path = '/stream'
methods = ['GET', 'POST']
access = 'public'
[[routes]]
path = '/chat'
methods = 'POST'
access = 'authenticated'
body = 'openai-chat'
";
pub(crate) const SECRET: &[u8] = b"a secret of thirty-two bytes or more";

pub(crate) struct Site {
    folder: tempfile::TempDir,
    pub(crate) fence: Fence,
    pub(crate) router: Router,
    handler: Handler,
    keys: Mutex<BTreeMap<String, (GeneratedKey, KeyRecord)>>,
    metrics: PrometheusHandle,
    /// The test has one thread, which polls all streams.
    _recorder: LocalRecorderGuard<'static>,
}

impl Site {
    /// Opens a site with the keys `a` and `b`.
    pub(crate) async fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = BTreeMap::from(["a", "b"].map(|id| (id.to_owned(), generated(id))));
        write_keys(folder.path(), keys.values().map(|(_, record)| record));
        fs::write(folder.path().join("secret"), SECRET).unwrap();
        fs::write(folder.path().join("revoked.txt"), "# jti exp\n").unwrap();
        let recorder = Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
        let metrics = recorder.handle();
        let recorder = metrics::set_default_local_recorder(recorder);
        let config = config(folder.path(), settings);
        let fence = Fence::builder(&config).metrics().build().await.unwrap();
        let handler = Handler::default();
        let serve = handler.clone();
        let open = async move |request: Request| serve.open(&request);
        let router = Router::new()
            .route("/stream", any(open.clone()))
            .route("/chat", any(open))
            .layer(fence.layer());
        Self {
            folder,
            fence,
            router,
            handler,
            keys: Mutex::new(keys),
            metrics,
            _recorder: recorder,
        }
    }

    pub(crate) fn config(&self, settings: &str) -> Config {
        config(self.folder.path(), settings)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces the key file by one with these keys.
    pub(crate) fn write_keys(&self, ids: &[&str]) {
        let keys = self.keys.lock().unwrap();
        write_keys(self.folder.path(), ids.iter().map(|id| &keys[*id].1));
    }

    /// Adds a key, and waits until it is known.
    pub(crate) async fn add(&self, id: &str, change: impl FnOnce(KeyRecord) -> KeyRecord) {
        let (key, record) = generated(id);
        {
            let mut keys = self.keys.lock().unwrap();
            keys.insert(id.to_owned(), (key, change(record)));
            write_keys(self.folder.path(), keys.values().map(|(_, record)| record));
        }
        until_async("the key is known", async || {
            let request = self.request("GET", &self.bearer(id), &[]);
            let response = self.router.clone().oneshot(request).await.unwrap();
            let is_known = response.status() == 200;
            if is_known {
                drop(self.handler.take());
            }
            is_known
        })
        .await;
    }

    /// The `Authorization` of a key; empty without one.
    pub(crate) fn bearer(&self, id: &str) -> String {
        match self.keys.lock().unwrap().get(id) {
            Some((key, _)) => format!("Bearer {}", key.expose()),
            None => String::new(),
        }
    }

    fn request(&self, method: &str, bearer: &str, headers: &[(&str, &str)]) -> Request {
        let peer: SocketAddr = "192.0.2.1:50000".parse().unwrap();
        let mut request = Request::builder().method(method).uri("/stream");
        if !bearer.is_empty() {
            request = request.header("authorization", bearer);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.extension(ConnectInfo(peer));
        request.body(Body::empty()).unwrap()
    }

    /// Opens a response of this content type; anonymously without a key.
    pub(crate) async fn stream(&self, method: &str, key: &str, content_type: &str) -> Stream {
        let headers = [("x-type", content_type)];
        self.open(method, &self.bearer(key), &headers).await
    }

    /// Opens a response to a request with these headers.
    pub(crate) async fn open(
        &self,
        method: &str,
        bearer: &str,
        headers: &[(&str, &str)],
    ) -> Stream {
        self.send(self.request(method, bearer, headers)).await
    }

    /// Opens a stream of a chat whose request does not set `max_tokens`.
    pub(crate) async fn chat(&self, key: &str) -> Stream {
        let headers = [
            ("content-type", "application/json"),
            ("x-type", "text/event-stream"),
        ];
        let mut request = self.request("POST", &self.bearer(key), &headers);
        *request.uri_mut() = "/chat".parse().unwrap();
        let body = r#"{"model":"m","messages":[{"role":"user","content":"Hello"}]}"#;
        *request.body_mut() = Body::from(body);
        self.send(request).await
    }

    async fn send(&self, request: Request) -> Stream {
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let Opened { sender, context } = self.handler.take();
        let received = Arc::new(Mutex::new(String::new()));
        let reading = tokio::spawn(read(response.into_body(), Arc::clone(&received)));
        Stream {
            sender,
            context,
            received,
            reading,
        }
    }

    /// The status of a response with this method and `Authorization`.
    pub(crate) async fn status(&self, method: &str, bearer: &str) -> u16 {
        let request = self.request(method, bearer, &[]);
        let response = self.router.clone().oneshot(request).await.unwrap();
        response.status().as_u16()
    }

    /// The record of the first response to a key that has ended with an error.
    pub(crate) async fn record_of(&self, user: &str) -> Value {
        self.fence.audit().flush(Duration::from_secs(30)).unwrap();
        let log = fs::read_to_string(self.path("audit.log")).unwrap();
        let mut records = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let found = records.find(|record| record["user"] == user && !record["code"].is_null());
        found.unwrap_or_else(|| panic!("no record: {log}"))
    }

    pub(crate) fn metrics(&self) -> String {
        self.fence.record_gauges();
        self.metrics.render()
    }
}

fn generated(id: &str) -> (GeneratedKey, KeyRecord) {
    let key = GeneratedKey::new("sk", id.parse().unwrap()).unwrap();
    let record = KeyRecord::new(key.id().clone(), key.digest());
    (key, record)
}

fn write_keys<'r>(folder: &Path, records: impl Iterator<Item = &'r KeyRecord>) {
    let records: String = records.map(to_yaml).collect();
    let text = match &*records {
        "" => "keys: []\n".to_owned(),
        records => format!("keys:\n{records}"),
    };
    fs::write(folder.join("keys.new"), text).unwrap();
    fs::rename(folder.join("keys.new"), folder.join("keys.yaml")).unwrap();
}

fn config(folder: &Path, settings: &str) -> Config {
    let text = format!("{CONFIG}{settings}");
    let mut config = Config::parse(&text, Format::Toml, &Environment::default()).unwrap();
    config.resolve_paths(folder);
    config
}

/// Answers with a body that a test controls.
#[derive(Clone, Default)]
pub(crate) struct Handler(Arc<Mutex<Option<Opened>>>);

struct Opened {
    sender: UnboundedSender<Bytes>,
    context: RequestContext,
}

impl Handler {
    fn open(&self, request: &Request) -> Response {
        let (sender, receiver) = unbounded_channel();
        let context = RequestContext::of(request.extensions()).unwrap().clone();
        *self.0.lock().unwrap() = Some(Opened { sender, context });
        let mut response = Response::new(Body::new(Chunks(receiver)));
        let headers = request.headers();
        for (from, to) in [
            ("x-type", "content-type"),
            ("x-encoding", "content-encoding"),
        ] {
            if let Some(value) = headers.get(from) {
                let to = http::HeaderName::from_static(to);
                response.headers_mut().insert(to, value.clone());
            }
        }
        if headers.contains_key("x-final") {
            let last = FinalEvent::new(|refusal| format!("end {}\n", refusal.code()).into());
            response.extensions_mut().insert(last);
        }
        response
    }

    fn take(&self) -> Opened {
        self.0.lock().unwrap().take().expect("the handler ran")
    }
}

struct Chunks(UnboundedReceiver<Bytes>);

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = self.0.poll_recv(cx);
        chunk.map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}

async fn read(mut body: Body, received: Arc<Mutex<String>>) {
    while let Some(frame) = body.frame().await {
        let frame = frame.unwrap();
        let text = match frame.trailers_ref() {
            Some(trailers) => format!("{trailers:?}"),
            None => String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap(),
        };
        received.lock().unwrap().push_str(&text);
    }
}

/// A response that is on its way.
pub(crate) struct Stream {
    sender: UnboundedSender<Bytes>,
    pub(crate) context: RequestContext,
    received: Arc<Mutex<String>>,
    reading: JoinHandle<()>,
}

impl Stream {
    pub(crate) fn send(&self, text: &str) {
        // The stream may have ended.
        let _ = self.sender.send(Bytes::copy_from_slice(text.as_bytes()));
    }

    /// Whether the body of the handler was dropped.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.sender.is_closed()
    }

    pub(crate) async fn until_received(&self, text: &str) {
        until_async(text, async || self.received.lock().unwrap().contains(text)).await;
    }

    /// Waits until the client has received the end, and returns all that it has received.
    pub(crate) async fn until_ended(&self) -> String {
        until_async("the end of the stream", async || self.reading.is_finished()).await;
        self.received.lock().unwrap().clone()
    }

    /// Ends the response as its handler does.
    pub(crate) async fn finish(self) -> String {
        drop(self.sender);
        self.reading.await.unwrap();
        std::mem::take(&mut *self.received.lock().unwrap())
    }
}
