//! The HTTP client of one upstream: pools of connections over TCP, TLS or a Unix socket.
//!
//! Each thread has a pool of its own. The threads that serve clients have a runtime each, and a
//! connection that another one reads would wake both.

use std::{path::Path, sync::Arc, time::Duration};

use http::{Request, Uri};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::legacy::{
        Builder, Client, ResponseFuture,
        connect::{Connection, HttpConnector},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::ClientConfig;
use thread_local::ThreadLocal;
use tokio::net::{TcpStream, UnixStream};
use tower::{BoxError, Service, service_fn, util::BoxCloneSyncService};

use super::{UpstreamSettings, UpstreamSettingsError, request::OutgoingBody};
use crate::tls;

/// The client of one upstream.
pub(super) enum HttpClient {
    Network(Pools<MaybeHttpsStream<TokioIo<TcpStream>>>),
    Unix(Pools<TokioIo<UnixStream>>),
}

pub(super) struct Pools<S> {
    builder: Builder,
    connect: Connect<S>,
    threads: ThreadLocal<Client<Connect<S>, OutgoingBody>>,
}

type Connect<S> = BoxCloneSyncService<Uri, S, BoxError>;

/// Below the five seconds after which uvicorn, which serves most models, closes idle connections:
/// a request on a connection that is being closed fails.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(4);
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// Maximum size of a response head, and of the read buffer of a connection.
const MAX_HEAD_BYTES: u16 = u16::MAX;
const MAX_HEADERS: usize = 100;

/// Maximum number of bytes that one stream, and one connection, buffer for a slow client.
const HTTP2_STREAM_WINDOW: u32 = 64 * 1024;
const HTTP2_CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
/// A connection that does not answer a ping within the timeout is closed.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(20);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);

impl HttpClient {
    pub(super) fn new(
        settings: &UpstreamSettings,
        connect_timeout: Duration,
    ) -> Result<Self, UpstreamSettingsError> {
        if let Some(socket) = settings.url.socket() {
            let socket: Arc<Path> = socket.into();
            let connect = service_fn(move |_: Uri| {
                let socket = Arc::clone(&socket);
                async move { UnixStream::connect(&*socket).await.map(TokioIo::new) }
            });
            return Ok(Self::Unix(Pools::new(connect, connect_timeout, settings)));
        }
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        let connect = HttpsConnector::from((tcp, tls_config(settings)?));
        Ok(Self::Network(Pools::new(
            connect,
            connect_timeout,
            settings,
        )))
    }

    pub(super) fn request(&self, request: Request<OutgoingBody>) -> ResponseFuture {
        match self {
            Self::Network(pools) => pools.request(request),
            Self::Unix(pools) => pools.request(request),
        }
    }
}

impl<S> Pools<S>
where
    S: Connection + hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    fn new<C>(connect: C, timeout: Duration, settings: &UpstreamSettings) -> Self
    where
        C: Service<Uri, Response = S> + Clone + Send + Sync + 'static,
        C::Error: Into<BoxError>,
        C::Future: Send + 'static,
    {
        // Both connectors are always ready.
        let connect = service_fn(move |url| {
            let connecting = connect.clone().call(url);
            async move {
                let connected = tokio::time::timeout(timeout, connecting).await;
                connected.map_err(BoxError::from)?.map_err(Into::into)
            }
        });
        Self {
            builder: builder(settings),
            connect: BoxCloneSyncService::new(connect),
            threads: ThreadLocal::new(),
        }
    }

    fn request(&self, request: Request<OutgoingBody>) -> ResponseFuture {
        let pool = || self.builder.build(self.connect.clone());
        self.threads.get_or(pool).request(request)
    }
}

fn builder(settings: &UpstreamSettings) -> Builder {
    // As many as requests run: with fewer, a busy upstream gets a new connection for many requests.
    let max_idle = usize::try_from(settings.max_running.get()).unwrap_or(usize::MAX);
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .pool_max_idle_per_host(max_idle)
        .http1_max_buf_size(MAX_HEAD_BYTES.into())
        .http1_max_headers(MAX_HEADERS)
        .http2_only(settings.http2 && !settings.url.is_https())
        .http2_max_header_list_size(MAX_HEAD_BYTES.into())
        .http2_initial_stream_window_size(HTTP2_STREAM_WINDOW)
        .http2_initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
        .http2_keep_alive_interval(HTTP2_PING_INTERVAL)
        .http2_keep_alive_timeout(HTTP2_PING_TIMEOUT);
    builder
}

/// Mozilla's roots, compiled in, and those of the file.
fn tls_config(settings: &UpstreamSettings) -> Result<ClientConfig, UpstreamSettingsError> {
    let trusted = tls::trust_roots(settings.ca_file.as_deref());
    let mut config = trusted.map_err(|error| {
        let file = settings.ca_file.as_deref().unwrap_or(Path::new(""));
        UpstreamSettingsError::new(format!(
            "cannot use {} as root certificates of {}: {error}; provide a PEM file with \
             certificates",
            file.display(),
            settings.url,
        ))
    })?;
    config.alpn_protocols = match settings.http2 {
        true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        false => vec![b"http/1.1".to_vec()],
    };
    Ok(config)
}
