//! One connection: HTTP/1.1 or HTTP/2, whichever the client speaks.

use std::{convert::Infallible, net::SocketAddr, pin::pin, time::Duration};

use axum::Router;
use http::{
    HeaderValue, Method, Request, Version,
    header::{CONNECTION, UPGRADE},
};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use stockade_core::PeerAddr;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{self, Instant},
};
use tower::ServiceExt;

use super::{
    ShutdownSignal,
    in_flight::{Activity, InFlight},
    response_body, unread_body,
};

/// Header fields of a request.
const MAX_HEADERS: usize = 100;
/// The head of a request over HTTP/1.1, in bytes, and what is read ahead of its body.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// The header fields of a request over HTTP/2, in bytes and unpacked.
const MAX_HEADER_LIST_BYTES: u32 = 64 * 1024;
/// Streams of one HTTP/2 connection at the same time.
const MAX_STREAMS: u32 = 64;
/// Streams that an HTTP/2 client opened and reset before anybody looked at them (rapid
/// reset, CVE-2023-44487). With one more the connection is closed.
const MAX_PENDING_ACCEPT_RESETS: usize = 20;
/// Streams that an HTTP/2 client had reset by this server, by breaking the protocol
/// (CVE-2025-8671). With one more the connection is closed.
const MAX_LOCAL_ERROR_RESETS: usize = 128;
/// The largest HTTP/2 frame.
const MAX_FRAME: u32 = 16 * 1024;
/// Of the body of each HTTP/2 stream, and of all streams together, so much may be on its
/// way before somebody reads it.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What may wait for an HTTP/2 client to read it, of each stream.
const MAX_SEND_BUFFER: usize = 256 * 1024;
/// After this long without a word, an HTTP/2 client is asked whether it is still there.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// So long it may take to say so.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionLimits {
    pub(super) max_connections: usize,
    pub(super) header_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) shutdown_grace: Duration,
}

/// Serves a connection until its client leaves, or the server stops and the answers
/// that run have ended.
pub(super) async fn serve<S>(
    stream: S,
    peer: SocketAddr,
    router: Router,
    limits: ConnectionLimits,
    mut shutdown: watch::Receiver<ShutdownSignal>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let in_flight = InFlight::new();
    let requests = in_flight.clone();
    let service = tower::service_fn(move |request: Request<Incoming>| {
        let guard = requests.start_request();
        let close_after = requests_upgrade(&request);
        let (mut request, unread) = unread_body::track(request);
        request.extensions_mut().insert(PeerAddr::from(peer));
        let response = router.clone().oneshot(request);
        async move {
            let mut response = response.await?;
            if close_after {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            Ok::<_, Infallible>(response_body::wrap(response, guard, unread))
        }
    });
    let builder = builder(limits);
    let service = TowerToHyperService::new(service);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut timer = pin!(time::sleep(limits.header_timeout));
    let (mut stopping, mut idle) = (false, false);
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    // Clients that leave or break the protocol; nothing to be mended here.
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            () = timer.as_mut() => {
                match limits.state(in_flight.activity()) {
                    ConnectionState::Active(instant) => {
                        idle = false;
                        timer.as_mut().reset(instant);
                    }
                    // Told to go, and still there.
                    ConnectionState::Idle if idle => {
                        tracing::debug!("closed an idle connection");
                        return;
                    }
                    ConnectionState::Idle => {
                        idle = true;
                        connection.as_mut().graceful_shutdown();
                        timer.as_mut().reset(Instant::now() + limits.header_timeout);
                    }
                    ConnectionState::Stalled => {
                        tracing::debug!("closed a connection whose client reads no answer");
                        return;
                    }
                }
            }
            requested = shutdown.wait_for(|signal| *signal >= ShutdownSignal::Graceful), if !stopping => {
                stopping = true;
                if requested.is_ok() {
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// Whether what follows this request on its connection may not be HTTP (RFC 9110, 7.8 and
/// 9.3.6). No other protocol is spoken here; HTTP/2 has streams of their own for it.
fn requests_upgrade<B>(request: &Request<B>) -> bool {
    request.version() <= Version::HTTP_11
        && (request.method() == Method::CONNECT || request.headers().contains_key(UPGRADE))
}

/// How long a connection may go on as it does.
enum ConnectionState {
    /// It is to be looked at again then.
    Active(Instant),
    /// It has done nothing for too long.
    Idle,
    /// Its client has not taken an answer that is over.
    Stalled,
}

impl ConnectionLimits {
    /// The HTTP library times the heads of HTTP/1.1. It times neither who never says which
    /// protocol it speaks, nor who has an HTTP/2 connection and does nothing with it, nor
    /// who does not read.
    fn state(&self, activity: Activity) -> ConnectionState {
        let now = Instant::now();
        let (end, otherwise) = match activity {
            Activity::Idle(since) => (since + self.header_timeout, ConnectionState::Idle),
            // Its deadline ends the answer; the rest is for its last words to be read.
            Activity::Busy(since) => (
                since + self.request_timeout + self.header_timeout,
                ConnectionState::Stalled,
            ),
        };
        if end <= now {
            return otherwise;
        }
        ConnectionState::Active(end.min(now + self.header_timeout))
    }
}

/// HTTP as it is spoken here. What bounds a client is written down, so that it does not
/// change with the defaults of a library.
fn builder(limits: ConnectionLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_PENDING_ACCEPT_RESETS)
        .max_local_error_reset_streams(MAX_LOCAL_ERROR_RESETS)
        .max_frame_size(MAX_FRAME)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(MAX_SEND_BUFFER)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    builder
}
