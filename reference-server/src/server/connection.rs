//! One connection: HTTP/1.1 or HTTP/2, whichever the client speaks.

use std::{
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::Router;
use http::Request;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use stockade_core::PeerAddr;
use tokio::{net::TcpStream, sync::watch, time};
use tower::ServiceExt;

use super::Stop;

/// Streams of one HTTP/2 connection at the same time.
const MAX_STREAMS: u32 = 64;
/// After this long without a word, an HTTP/2 client is asked whether it is still there.
const PING: Duration = Duration::from_secs(20);

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionLimits {
    pub(super) most: usize,
    pub(super) header_timeout: Duration,
    pub(super) grace: Duration,
}

/// Serves a connection until its client leaves, or the server stops and the answers
/// that run have ended.
pub(super) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: ConnectionLimits,
    mut stop: watch::Receiver<Stop>,
) {
    // Tokens are small, and each of them should leave at once.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let asked = Arc::new(AtomicBool::new(false));
    let asking = Arc::clone(&asked);
    let service = tower::service_fn(move |mut request: Request<_>| {
        asking.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(PeerAddr::from(peer));
        router.clone().oneshot(request)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(PING);
    let service = TowerToHyperService::new(service);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // The HTTP library times heads once it knows the protocol; whoever does not even say
    // that much would stay for ever.
    let mut silence = pin!(time::sleep(limits.header_timeout));
    let (mut stopping, mut heard) = (false, false);
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    // Clients that leave or break the protocol; nothing to be mended here.
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            () = silence.as_mut(), if !heard => {
                heard = asked.load(Ordering::Relaxed);
                if !heard {
                    return;
                }
            }
            told = stop.wait_for(|told| *told >= Stop::Gently), if !stopping => {
                stopping = true;
                if told.is_ok() {
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}
