//! Bytes to and from a server, with nothing in between that would mend them.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};

/// How long a server may take to end a connection.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// What came back on one connection.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) text: String,
    /// Whether the server ended the connection.
    pub(crate) closed: bool,
}

impl Received {
    /// The status of each answer.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let answers = self.text.split("HTTP/1.1 ").skip(1);
        answers.map(|answer| answer[..3].parse().unwrap()).collect()
    }
}

/// Sends these bytes, and listens until the server ends the connection.
pub(crate) async fn send_raw(address: SocketAddr, bytes: &[u8]) -> Received {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that has refused may close before it has all.
    let _ = stream.write_all(bytes).await;
    read_to_end(&mut stream).await
}

/// Listens until the server ends the connection.
pub(crate) async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> Received {
    let mut received = Vec::new();
    let end = time::timeout(TIMEOUT, read(stream, &mut received)).await;
    Received {
        text: String::from_utf8_lossy(&received).into_owned(),
        closed: end.is_ok(),
    }
}

/// Reads to the end, which is also a reset: a body was left unread.
async fn read(stream: &mut (impl AsyncRead + Unpin), received: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = [0; 4_096];
    loop {
        match stream.read(&mut chunk).await? {
            0 => return Ok(()),
            length => received.extend_from_slice(&chunk[..length]),
        }
    }
}
