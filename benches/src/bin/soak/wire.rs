//! Requests as bytes, because the attackers break the rules of a client.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

/// A small chat.
pub(crate) const CHAT: &str =
    r#"{"model":"bench","messages":[{"role":"user","content":"What is in the picture?"}]}"#;

/// A chat whose answer is this number of events, one every `pause` milliseconds.
pub(crate) fn stream(events: u32, pause: u32) -> String {
    format!(
        r#"{{"stream":true,"max_tokens":{events},"seed":{pause},"model":"bench","messages":[{{"role":"user","content":"Write."}}]}}"#
    )
}

/// A POST of a chat.
pub(crate) fn post(key: &str, body: &[u8]) -> Vec<u8> {
    let mut request = head(key, body.len());
    request.extend_from_slice(body);
    request
}

/// The head of a POST whose body has this length.
pub(crate) fn head(key: &str, length: usize) -> Vec<u8> {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
    .into_bytes()
}

/// Connects from one of many addresses.
pub(crate) async fn connect(server: SocketAddr, number: u32) -> io::Result<TcpStream> {
    let [.., third, fourth] = number.to_be_bytes();
    let from = Ipv4Addr::new(127, 1, third, fourth.max(1));
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    // Otherwise, the kernel would hold a whole response for a client that does not read.
    socket.set_recv_buffer_size(4_096)?;
    let stream = socket.connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a request, and returns the status of the response.
pub(crate) async fn exchange(stream: &mut TcpStream, request: &[u8]) -> io::Result<u16> {
    stream.write_all(request).await?;
    status(stream).await
}

/// The status of the response that comes next; reads a part of it.
pub(crate) async fn status(stream: &mut TcpStream) -> io::Result<u16> {
    // `HTTP/1.1 200 `
    let mut start = [0; 13];
    stream.read_exact(&mut start).await?;
    parse_status(&start)
}

/// The status of a response that starts so.
pub(crate) fn parse_status(start: &[u8; 13]) -> io::Result<u16> {
    let digits = std::str::from_utf8(&start[9..12]).ok();
    let status = digits.and_then(|digits| digits.parse().ok());
    status.ok_or_else(|| io::Error::other("not a response"))
}
