//! An HTTP server on loopback that plays a model server from a script, faults included, and
//! records what it received.
//!
//! ```
//! use stockade_testkit::scripted_upstream::{Answer, Chat, ScriptedUpstream};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let upstream = ScriptedUpstream::http1().await;
//! upstream.always(Chat::new("Hello!").json());
//! upstream.next(Answer::status(503)); // The first request only.
//! assert!(upstream.url().starts_with("http://127.0.0.1:"));
//! assert!(upstream.requests().is_empty());
//! # }
//! ```

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    net::{TcpListener, UnixListener},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

mod answer;
mod chat;
mod connection;
mod raw;
mod received;
mod service;

pub use answer::{Answer, Step};
pub use chat::Chat;
pub use raw::RawUpstream;
pub use received::ReceivedRequest;

use connection::Protocol;
use received::Record;

/// An HTTP server that answers from a script; stops when it is dropped. Needs a tokio runtime.
#[derive(Debug)]
pub struct ScriptedUpstream {
    url: String,
    address: Option<SocketAddr>,
    shared: Arc<Shared>,
    /// Aborted on drop, with all connections.
    _accepting: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    script: Mutex<Script>,
    received: Mutex<Vec<Arc<Record>>>,
    connections: Mutex<Gauge>,
    running: Mutex<Gauge>,
}

#[derive(Debug, Default)]
struct Script {
    next: VecDeque<Answer>,
    paths: HashMap<String, Answer>,
    always: Answer,
    /// The number of requests of each path with an answer of its own.
    path_requests: HashMap<String, usize>,
}

/// Things in progress, their maximum, and their total.
#[derive(Clone, Copy, Debug, Default)]
struct Gauge {
    now: usize,
    peak: usize,
    total: usize,
}

impl Gauge {
    fn increment(&mut self) {
        self.now += 1;
        self.total += 1;
        self.peak = self.peak.max(self.now);
    }
}

impl ScriptedUpstream {
    /// Serves HTTP/1.1 on a free port.
    pub async fn http1() -> Self {
        Self::tcp("127.0.0.1:0", Protocol::Http1).await
    }

    /// Serves HTTP/1.1 at this address, such as that of an upstream that was dropped.
    pub async fn http1_at(address: SocketAddr) -> Self {
        Self::tcp(&address.to_string(), Protocol::Http1).await
    }

    /// Serves HTTP/2 with prior knowledge on a free port.
    pub async fn http2() -> Self {
        Self::tcp("127.0.0.1:0", Protocol::Http2).await
    }

    /// Serves HTTP/1.1 or HTTP/2 over TLS, as ALPN decides, on a free port.
    pub async fn tls(config: Arc<rustls::ServerConfig>) -> Self {
        Self::tcp("127.0.0.1:0", Protocol::Tls(TlsAcceptor::from(config))).await
    }

    /// Serves HTTP/1.1 on a Unix socket.
    pub fn unix(socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).expect("the socket is free");
        let shared = Arc::new(Shared::default());
        let url = format!("unix:{}:/v1", socket.display());
        let accepting = connection::accept_unix(listener, Arc::clone(&shared));
        Self::new(url, None, shared, accepting)
    }

    async fn tcp(address: &str, protocol: Protocol) -> Self {
        let listener = TcpListener::bind(address).await.expect("the port is free");
        let address = listener.local_addr().expect("the listener is bound");
        let shared = Arc::new(Shared::default());
        let scheme = protocol.scheme();
        let accepting = connection::accept_tcp(listener, protocol, Arc::clone(&shared));
        let url = format!("{scheme}://{address}/v1");
        Self::new(url, Some(address), shared, accepting)
    }

    fn new(
        url: String,
        address: Option<SocketAddr>,
        shared: Arc<Shared>,
        accepting: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(accepting);
        Self {
            url,
            address,
            shared,
            _accepting: tasks,
        }
    }

    /// The base URL, which ends with `/v1`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address of the listener; `None` for a Unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Sets the answer to all requests without another one. By default it is a short chat.
    pub fn always(&self, answer: Answer) {
        self.shared.script().always = answer;
    }

    /// Sets the answer to all requests of this path, such as `/health`.
    pub fn at_path(&self, path: &str, answer: Answer) {
        self.shared.script().paths.insert(path.to_owned(), answer);
    }

    /// Adds an answer to one request, of any path without an answer of its own. Several are given
    /// in order.
    pub fn next(&self, answer: Answer) {
        self.shared.script().next.push_back(answer);
    }

    /// The requests received so far, in order, without those of paths with an answer of their
    /// own.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        let received = self.shared.received();
        received.iter().map(|record| record.request()).collect()
    }

    /// The number of requests of this path, which has an answer of its own.
    pub fn requests_at(&self, path: &str) -> usize {
        let script = self.shared.script();
        script.path_requests.get(path).copied().unwrap_or(0)
    }

    /// The highest number of requests that were in progress at once.
    pub fn peak_requests(&self) -> usize {
        lock(&self.shared.running).peak
    }

    /// The number of connections that were accepted.
    pub fn connections(&self) -> usize {
        lock(&self.shared.connections).total
    }

    /// The number of connections that are open.
    pub fn open_connections(&self) -> usize {
        lock(&self.shared.connections).now
    }
}

impl Shared {
    fn script(&self) -> MutexGuard<'_, Script> {
        lock(&self.script)
    }

    fn received(&self) -> MutexGuard<'_, Vec<Arc<Record>>> {
        lock(&self.received)
    }

    /// Counts a connection until the guard is dropped.
    fn connection(self: &Arc<Self>) -> Counted {
        Counted::new(self, |shared| &shared.connections)
    }

    /// Counts a request until the guard is dropped.
    fn request(self: &Arc<Self>) -> Counted {
        Counted::new(self, |shared| &shared.running)
    }
}

/// Something that is counted until it is dropped.
struct Counted {
    shared: Arc<Shared>,
    gauge: fn(&Shared) -> &Mutex<Gauge>,
}

impl Counted {
    fn new(shared: &Arc<Shared>, gauge: fn(&Shared) -> &Mutex<Gauge>) -> Self {
        lock(gauge(shared)).increment();
        Self {
            shared: Arc::clone(shared),
            gauge,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        lock((self.gauge)(&self.shared)).now -= 1;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
