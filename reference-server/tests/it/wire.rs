//! Bytes to and from a server, with nothing in between that would mend them.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};

/// How long a server may take to end a connection.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What came back on one connection.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) text: String,
    /// Whether the server ended the connection.
    pub(crate) closed: bool,
}

impl Heard {
    /// The status of each answer.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let answers = self.text.split("HTTP/1.1 ").skip(1);
        answers.map(|answer| answer[..3].parse().unwrap()).collect()
    }
}

/// Sends these bytes, and listens until the server ends the connection.
pub(crate) async fn say(address: SocketAddr, bytes: &[u8]) -> Heard {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that has refused may close before it has all.
    let _ = stream.write_all(bytes).await;
    listen(&mut stream).await
}

/// Listens until the server ends the connection.
pub(crate) async fn listen(stream: &mut (impl AsyncRead + Unpin)) -> Heard {
    let mut heard = Vec::new();
    let end = time::timeout(PATIENCE, read(stream, &mut heard)).await;
    Heard {
        text: String::from_utf8_lossy(&heard).into_owned(),
        closed: end.is_ok(),
    }
}

/// Reads to the end, which is also a reset: a body was left unread.
async fn read(stream: &mut (impl AsyncRead + Unpin), heard: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = [0; 4_096];
    loop {
        match stream.read(&mut chunk).await? {
            0 => return Ok(()),
            length => heard.extend_from_slice(&chunk[..length]),
        }
    }
}
