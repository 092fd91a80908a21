//! Raw bytes to and from a server, without an HTTP client that would correct them.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};

/// How long a server may take to close a connection.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// The bytes received on a connection.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) text: String,
    /// Whether the server closed the connection.
    pub(crate) closed: bool,
}

impl Received {
    /// The status of each response.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let answers = self.text.split("HTTP/1.1 ").skip(1);
        answers.map(|answer| answer[..3].parse().unwrap()).collect()
    }
}

/// Sends these bytes, and reads until the server closes the connection.
pub(crate) async fn send_raw(address: SocketAddr, bytes: &[u8]) -> Received {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // Fails if the server refuses and closes before it has read everything.
    let _ = stream.write_all(bytes).await;
    read_to_end(&mut stream).await
}

/// Reads until the server closes the connection.
pub(crate) async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> Received {
    let mut received = Vec::new();
    let end = time::timeout(TIMEOUT, read(stream, &mut received)).await;
    Received {
        text: String::from_utf8_lossy(&received).into_owned(),
        closed: end.is_ok(),
    }
}

/// Reads to the end, which may be a reset if the server left a body unread.
async fn read(stream: &mut (impl AsyncRead + Unpin), received: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = [0; 4_096];
    loop {
        match stream.read(&mut chunk).await? {
            0 => return Ok(()),
            length => received.extend_from_slice(&chunk[..length]),
        }
    }
}
