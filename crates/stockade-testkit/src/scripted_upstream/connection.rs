//! Connections of an upstream.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::{Shared, service};

/// What is spoken on a port.
#[derive(Clone)]
pub(super) enum Protocol {
    Http1,
    Http2,
    Tls(TlsAcceptor),
}

impl Protocol {
    pub(super) fn scheme(&self) -> &'static str {
        match self {
            Self::Http1 | Self::Http2 => "http",
            Self::Tls(_) => "https",
        }
    }
}

pub(super) async fn accept_tcp(listener: TcpListener, protocol: Protocol, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        // Chunks are sent as they are written, as model servers do.
        let _ = stream.set_nodelay(true);
        let open = shared.connection();
        let serving = serve_tcp(stream, protocol.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            serving.await;
            drop(open);
        });
    }
}

pub(super) async fn accept_unix(listener: UnixListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let open = shared.connection();
        let serving = serve_http1(stream, Arc::clone(&shared), ResetSwitch::default());
        connections.spawn(async move {
            serving.await;
            drop(open);
        });
    }
}

async fn serve_tcp(stream: TcpStream, protocol: Protocol, shared: Arc<Shared>) {
    let reset = ResetSwitch::default();
    let stream = Resettable {
        stream,
        reset: reset.clone(),
    };
    match protocol {
        Protocol::Http1 => serve_http1(stream, shared, reset).await,
        Protocol::Http2 => serve_http2(stream, shared).await,
        Protocol::Tls(acceptor) => {
            // A failed handshake is the client's concern.
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => serve_http2(stream, shared).await,
                _ => serve_http1(stream, shared, reset).await,
            }
        }
    }
}

async fn serve_http1<S>(stream: S, shared: Arc<Shared>, reset: ResetSwitch)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| service::play(request, Arc::clone(&shared), reset.clone()));
    let connection = hyper::server::conn::http1::Builder::new();
    // Errors are those of the script, or of a client that left.
    let _ = connection
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn serve_http2<S>(stream: S, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service =
        service_fn(|request| service::play(request, Arc::clone(&shared), ResetSwitch::default()));
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    // As above.
    let _ = connection
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Makes the end of a connection a reset.
#[derive(Clone, Debug, Default)]
pub(super) struct ResetSwitch(Arc<AtomicBool>);

impl ResetSwitch {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A TCP stream that can end with a reset.
struct Resettable {
    stream: TcpStream,
    reset: ResetSwitch,
}

impl Resettable {
    fn stream(self: Pin<&mut Self>) -> Pin<&mut TcpStream> {
        Pin::new(&mut self.get_mut().stream)
    }
}

impl Drop for Resettable {
    fn drop(&mut self) {
        if self.reset.0.load(Ordering::Acquire) {
            // Without lingering, a close is a reset.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Resettable {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Resettable {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, buffer)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.reset.0.load(Ordering::Acquire) {
            // A FIN before the reset would look like an orderly end.
            true => Poll::Ready(Ok(())),
            false => self.stream().poll_shutdown(cx),
        }
    }
}
