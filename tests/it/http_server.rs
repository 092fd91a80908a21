//! A plain hyper server on loopback that counts the bytes it reads.

use std::{
    convert::Infallible,
    error::Error,
    future::{Ready, ready},
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use stockade_core::client::PeerAddr;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tower::{Layer, Service, ServiceExt};

/// A running server. It stops with the runtime of the test.
pub(crate) struct HttpServer {
    pub(crate) address: SocketAddr,
    taken: Arc<AtomicU64>,
}

impl HttpServer {
    /// Serves [`TestService`] behind this layer over HTTP/1.1 and HTTP/2.
    pub(crate) async fn behind<L, B>(layer: L) -> Self
    where
        L: Layer<TestService>,
        L::Service: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        <L::Service as Service<Request<Incoming>>>::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            taken: Arc::default(),
        };
        let service = layer.layer(TestService);
        let taken = Arc::clone(&server.taken);
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let service = service.clone().map_request(move |mut request: Request<_>| {
                    request.extensions_mut().insert(PeerAddr::from(peer));
                    request
                });
                let counted = Counted {
                    stream,
                    taken: Arc::clone(&taken),
                };
                tokio::spawn(async move {
                    // A disconnected client is not an error of the server.
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(counted), TowerToHyperService::new(service))
                        .await;
                });
            }
        });
        server
    }

    /// The number of bytes that the server has read from its clients.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::SeqCst)
    }
}

/// Responds to `/` with [`WELCOME`](Self::WELCOME) and to any other path with a body that
/// never ends after its first frame.
#[derive(Clone)]
pub(crate) struct TestService;

impl TestService {
    pub(crate) const WELCOME: &'static str = "welcome";
}

impl<B> Service<Request<B>> for TestService {
    type Response = Response<Either<Full<Bytes>, Endless>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let body = match request.uri().path() {
            "/" => Either::Left(Full::from(Self::WELCOME)),
            _ => Either::Right(Endless { begun: false }),
        };
        ready(Ok(Response::new(body)))
    }
}

pub(crate) struct Endless {
    begun: bool,
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.begun {
            return Poll::Pending;
        }
        self.begun = true;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"and so on")))))
    }
}

struct Counted {
    stream: TcpStream,
    taken: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let taken = buffer.filled().len() - before;
        self.taken.fetch_add(taken as u64, Ordering::SeqCst);
        read
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
