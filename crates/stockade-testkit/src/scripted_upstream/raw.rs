//! An upstream that sends arbitrary bytes.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A TCP server that sends the same bytes on each connection, once a request head has arrived,
/// and closes it: for responses that no HTTP library writes. Stops when it is dropped.
#[derive(Debug)]
pub struct RawUpstream {
    url: String,
    _accepting: JoinSet<()>,
}

impl RawUpstream {
    /// Serves `response` on a free port.
    pub async fn new(response: impl Into<Bytes>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port is free");
        let address: SocketAddr = listener.local_addr().expect("the listener is bound");
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, response.into()));
        Self {
            url: format!("http://{address}/v1"),
            _accepting: accepting,
        }
    }

    /// The base URL, which ends with `/v1`.
    pub fn url(&self) -> &str {
        &self.url
    }
}

async fn accept(listener: TcpListener, response: Bytes) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(answer(stream, response.clone()));
    }
}

async fn answer(mut stream: TcpStream, response: Bytes) {
    let mut head = Vec::new();
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        match stream.read_buf(&mut head).await {
            Ok(1..) => {}
            // The client has left.
            _ => return,
        }
    }
    // The client may leave in the middle, such as at the first invalid byte.
    let _ = stream.write_all(&response).await;
    let _ = stream.shutdown().await;
    // Reads the rest of the request: a close with unread bytes would be a reset.
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}
