//! A connection, which speaks HTTP/1.1 or HTTP/2 at the client's choice.

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
use stockade_core::client::PeerAddr;
use stockade_key_auth::ClientCertificate;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{self, Instant},
};
use tower::ServiceExt;

use super::{
    ShutdownSignal,
    frame_budget::FrameBudget,
    in_flight::{Activity, InFlight},
    pressure::Pressure,
    response_body, unread_body,
};

/// The maximum number of header fields of an HTTP/1.1 request.
const MAX_HEADERS: usize = 100;
/// The maximum size of an HTTP/1.1 request head, and of the read buffer, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// The maximum size of an HTTP/2 request's decoded header list, in bytes.
const MAX_HEADER_LIST_BYTES: u32 = 64 * 1024;
/// The maximum number of concurrent streams on an HTTP/2 connection.
const MAX_STREAMS: u32 = 64;
/// The maximum number of streams that an HTTP/2 client has reset before the server accepted
/// them (rapid reset, CVE-2023-44487). One more closes the connection.
const MAX_PENDING_ACCEPT_RESETS: usize = 20;
/// The maximum number of streams that the server has reset because the HTTP/2 client violated
/// the protocol (CVE-2025-8671). One more closes the connection.
const MAX_LOCAL_ERROR_RESETS: usize = 128;
/// The maximum size of an HTTP/2 frame, in bytes.
const MAX_FRAME: u32 = 16 * 1024;
/// The initial flow-control window of an HTTP/2 stream, in bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The initial flow-control window of an HTTP/2 connection, in bytes.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// The maximum number of response bytes buffered for each HTTP/2 stream.
const MAX_SEND_BUFFER: usize = 256 * 1024;
/// The interval of keep-alive pings on an idle HTTP/2 connection.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// How long the acknowledgement of a keep-alive ping may take.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// The limits of connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionLimits {
    pub(super) max_connections: usize,
    pub(super) header_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) shutdown_grace: Duration,
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// What the handshake has verified.
    pub(super) certificate: Option<ClientCertificate>,
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self {
            address,
            certificate: None,
        }
    }
}

impl Peer {
    /// Adds the peer to the extensions of a request, where guards read it.
    fn identify<B>(&self, request: &mut Request<B>) {
        let extensions = request.extensions_mut();
        extensions.insert(PeerAddr::from(self.address));
        if let Some(certificate) = &self.certificate {
            extensions.insert(certificate.clone());
        }
    }
}

/// Serves a connection until its client disconnects, or until the server shuts down and the
/// requests in flight have completed.
pub(super) async fn serve<S>(
    stream: S,
    peer: Peer,
    router: Router,
    limits: ConnectionLimits,
    pressure: Pressure,
    mut shutdown: watch::Receiver<ShutdownSignal>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let in_flight = InFlight::new();
    let requests = in_flight.clone();
    let service = tower::service_fn(move |request: Request<Incoming>| {
        let guard = requests.start_request();
        let is_http1 = request.version() <= Version::HTTP_11;
        let close_after = requests_upgrade(&request);
        let (mut request, mut unread) = unread_body::track(request);
        peer.identify(&mut request);
        let response = router.clone().oneshot(request);
        async move {
            let mut response = response.await?;
            let has_rest = match unread.take_if(|_| is_http1) {
                Some(unread) => unread.drain_first().await,
                None => false,
            };
            if close_after || has_rest {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            Ok::<_, Infallible>(response_body::wrap(response, guard, unread))
        }
    });
    let share = rand::random();
    let builder = builder(limits.header_timeout(&pressure, share));
    let service = TowerToHyperService::new(service);
    let mut connection =
        pin!(builder.serve_connection(TokioIo::new(FrameBudget::new(stream)), service));
    let mut timer = pin!(time::sleep(limits.idle_check()));
    let (mut stopping, mut idle) = (false, false);
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    // The client disconnected or violated the protocol.
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            () = timer.as_mut() => {
                let header_timeout = limits.header_timeout(&pressure, share);
                match limits.state(in_flight.activity(), header_timeout) {
                    ConnectionState::Active(instant) => {
                        idle = false;
                        timer.as_mut().reset(instant);
                    }
                    // Still open after the graceful shutdown.
                    ConnectionState::Idle if idle => {
                        tracing::debug!("closed an idle connection");
                        return;
                    }
                    ConnectionState::Idle => {
                        idle = true;
                        connection.as_mut().graceful_shutdown();
                        timer.as_mut().reset(Instant::now() + header_timeout);
                    }
                    ConnectionState::Stalled => {
                        tracing::debug!("closed a connection whose client does not read");
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

/// Whether the connection may switch to another protocol after this request (RFC 9110, 7.8 and
/// 9.3.6). The server supports none; HTTP/2 uses a stream of its own for this.
fn requests_upgrade<B>(request: &Request<B>) -> bool {
    request.version() <= Version::HTTP_11
        && (request.method() == Method::CONNECT || request.headers().contains_key(UPGRADE))
}

/// What a connection is doing, compared with the time that it may take.
enum ConnectionState {
    /// Within its limits; check again at this instant.
    Active(Instant),
    /// Idle for longer than the limit.
    Idle,
    /// The client has not read a response whose deadline has passed.
    Stalled,
}

impl ConnectionLimits {
    /// Compares a connection's activity with the limits.
    ///
    /// hyper enforces a timeout only for HTTP/1.1 request heads. It does not for clients that
    /// send no protocol preface, keep an HTTP/2 connection idle, or do not read.
    fn state(&self, activity: Activity, header_timeout: Duration) -> ConnectionState {
        let now = Instant::now();
        let (end, otherwise, check) = match activity {
            Activity::Idle(since) => (
                since + header_timeout,
                ConnectionState::Idle,
                self.idle_check(),
            ),
            // The request's deadline ends the response; the client has the rest to read it.
            Activity::Busy(since) => (
                since + self.request_timeout + self.header_timeout,
                ConnectionState::Stalled,
                self.header_timeout,
            ),
        };
        if end <= now {
            return otherwise;
        }
        ConnectionState::Active(end.min(now + check))
    }

    /// When an idle connection looks again whether few are left. To be woken by a change would cost
    /// each poll of each connection a lock.
    fn idle_check(&self) -> Duration {
        self.header_timeout / 4
    }

    /// How long a handshake, a head or the next request may take, on the connection with this share
    /// (see [`Pressure::shorten`]).
    pub(super) fn header_timeout(&self, pressure: &Pressure, share: f64) -> Duration {
        pressure.shorten(self.header_timeout, share)
    }
}

/// The HTTP settings. All limits on clients are explicit, so that they do not change with the
/// defaults of hyper.
fn builder(header_timeout: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
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
