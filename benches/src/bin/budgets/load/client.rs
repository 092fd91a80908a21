//! A client that costs less than a server: it sends the same bytes on open connections, and
//! only looks for the end of a response. A complete client costs as much as a server, so it
//! would be the limit.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use memchr::memmem;
use stockade_benches::{CHAT, spent};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

/// Connections to one server.
pub(crate) struct Client {
    connections: Vec<TcpStream>,
    request: Bytes,
}

/// The times of a slice, in nanoseconds a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    wall: f64,
    server: f64,
    client: f64,
}

impl Slice {
    pub(crate) fn wall(&self) -> f64 {
        self.wall
    }

    /// CPU time of all but the client's thread.
    pub(crate) fn server(&self) -> f64 {
        self.server
    }

    /// CPU time of the client's thread.
    pub(crate) fn client(&self) -> f64 {
        self.client
    }
}

impl Client {
    /// Opens a number of connections.
    pub(crate) async fn connect(
        server: SocketAddr,
        count: usize,
        request: &Request<Full<Bytes>>,
    ) -> io::Result<Self> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            let connection = TcpStream::connect(server).await?;
            connection.set_nodelay(true)?;
            connections.push(connection);
        }
        Ok(Self {
            connections,
            request: wire(request),
        })
    }

    /// Sends requests on all connections for a time.
    pub(crate) async fn slice(&mut self, length: Duration) -> io::Result<Slice> {
        let (process, own) = spent();
        let start = Instant::now();
        let mut sending = JoinSet::new();
        for connection in self.connections.drain(..) {
            sending.spawn(send(connection, self.request.clone(), start + length));
        }
        let mut responses = 0;
        while let Some(sent) = sending.join_next().await {
            let (connection, count) = sent.map_err(io::Error::other)??;
            self.connections.push(connection);
            responses += count;
        }
        let wall = start.elapsed();
        let (process, own) = {
            let (process_now, own_now) = spent();
            (process_now - process, own_now - own)
        };
        let each = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(responses);
        Ok(Slice {
            wall: each(wall),
            server: each(process.saturating_sub(own)),
            client: each(own),
        })
    }
}

/// Sends requests until the time is over, and counts the responses.
async fn send(
    mut connection: TcpStream,
    request: Bytes,
    until: Instant,
) -> io::Result<(TcpStream, u32)> {
    let mut response = Vec::with_capacity(4_096);
    let mut count = 0;
    while Instant::now() < until {
        connection.write_all(&request).await?;
        response.clear();
        while !is_complete(&response)? {
            if connection.read_buf(&mut response).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        count += 1;
    }
    Ok((connection, count))
}

/// Whether a response is complete; fails if it is not the expected one.
fn is_complete(response: &[u8]) -> io::Result<bool> {
    const OK: &[u8] = b"HTTP/1.1 200 ";
    const LENGTH: &[u8] = b"content-length: ";
    const END: &[u8] = b"\r\n\r\n";
    let Some(head) = memmem::find(response, END) else {
        return Ok(false);
    };
    let unexpected = || io::Error::other(String::from_utf8_lossy(response).into_owned());
    let (head, body) = response.split_at(head + END.len());
    if !head.starts_with(OK) {
        return Err(unexpected());
    }
    let Some(at) = memmem::find(head, LENGTH) else {
        return Ok(body.ends_with(b"0\r\n\r\n"));
    };
    let digits = head[at + LENGTH.len()..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |all, digit| all * 10 + usize::from(digit - b'0'));
    match body.len() <= length {
        true => Ok(body.len() == length),
        false => Err(unexpected()),
    }
}

/// The request as it is sent.
fn wire(request: &Request<Full<Bytes>>) -> Bytes {
    let mut wire = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri()).into_bytes();
    for (name, value) in request.headers() {
        wire.extend_from_slice(name.as_str().as_bytes());
        wire.extend_from_slice(b": ");
        wire.extend_from_slice(value.as_bytes());
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"\r\n");
    wire.extend_from_slice(CHAT.as_bytes());
    wire.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_ends_with_its_body() {
        let complete = |text: &str| is_complete(text.as_bytes());
        let length = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n";
        for (text, ended) in [
            ("HTTP/1.1 200 OK\r\ncontent".to_owned(), false),
            (length.to_owned(), false),
            (format!("{length}o"), false),
            (format!("{length}ok"), true),
            (chunked.to_owned(), false),
            (format!("{chunked}0\r\n\r\n"), true),
        ] {
            assert_eq!(complete(&text).ok(), Some(ended), "{text:?}");
        }
    }

    #[test]
    fn refusal_is_an_error() {
        let refused = is_complete(b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n");
        assert!(refused.is_err());
    }

    #[test]
    fn request_is_sent_with_its_key_and_body() {
        let wire = wire(&stockade_benches::request("sk_known"));
        let text = std::str::from_utf8(&wire).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"));
        assert!(head.contains("\r\nauthorization: Bearer sk_known"));
        assert_eq!(body, CHAT);
    }
}
